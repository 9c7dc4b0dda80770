//! What a handler's shape must be. Whether its types fit is for the compiler to say, in the words of the core's traits.

mod arguments;
mod block;
mod publish;
mod reply;
mod returned;
mod signature;

use super::{
    model::{Call, Handler},
    parse::{Item, ItemKind, Keys},
};
use crate::errors::Errors;

/// Returns the model; `None` means that errors say what is wrong. All of it is reported: no check waits for another.
pub(super) fn check(keys: Keys, item: Item, errors: &mut Errors) -> Option<Handler> {
    let mut call = match item.kind {
        ItemKind::Function(signature) => function(&signature, errors),
        ItemKind::Impl(block) => block::method(&block, errors),
    };
    if let Some(call) = &call
        && call.message.batch.is_none()
    {
        // The compiler reports `Batch` alone: it lacks its type.
        for key in keys
            .of_batches
            .iter()
            .filter(|_| !arguments::is_bare_batch(&call.message))
        {
            errors.at(
                key,
                format!("`{key}` is for batches, and this handler takes one message at a time: take `Batch<…>` as the first argument, written out, or leave the key out"),
            );
        }
    }
    if let (Some(call), Some(publish)) = (&mut call, &keys.publish) {
        call.publish = publish::check(publish, call, errors);
    }
    if let Some(key) = &keys.reply {
        if keys.publish.is_some() {
            errors.at(
                key,
                "what a handler returns is a reply or is published, not both: leave out one, and do the other by an argument of type `Replier` or `Bus`",
            );
        } else if let Some(call) = &mut call {
            reply::check(call, errors);
            call.reply = true;
        }
    }
    Some(Handler {
        cfgs: item.cfgs,
        route: keys.route?,
        translator: keys.translator,
        provider: keys.provider,
        broker_options: keys.broker_options,
        options: keys.options,
        on: keys.on,
        on_error: keys.on_error,
        call: call?,
    })
}

fn function(signature: &syn::Signature, errors: &mut Errors) -> Option<Call> {
    if let Some(receiver) = signature.receiver() {
        errors.at(
            receiver,
            "a method alone can't be a handler: put `#[handler]` on the `impl` block of its type, and call the method `handle`",
        );
    }
    signature::check(signature, signature.receiver().is_some(), errors)
}
