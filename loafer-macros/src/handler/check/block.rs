//! An `impl` block: a type as handler.

use syn::{FnArg, ReceiverKind, Signature};

use super::signature;
use crate::{
    errors::Errors,
    handler::{
        model::{Call, Callee},
        parse::Block,
    },
};

pub(super) fn method(block: &Block, errors: &mut Errors) -> Option<Call> {
    signature::generics(&block.generics, errors);
    if let Some(of_trait) = &block.of_trait {
        errors.at(
            of_trait,
            "`#[handler]` goes on a type's own `impl` block, not on a trait's",
        );
        return None;
    }
    let Some(handle) = &block.handle else {
        errors.at(
            &block.of_type,
            "a handler type has a method `handle`: add `async fn handle(&self, message: …) -> bool`",
        );
        return None;
    };
    let receiver = receiver(handle, errors);
    let call = signature::check(handle, true, errors)?;
    receiver.then(|| Call {
        callee: Callee::Method(Box::new(block.of_type.clone())),
        ..call
    })
}

/// Whether `handle` takes `&self`.
fn receiver(handle: &Signature, errors: &mut Errors) -> bool {
    const SHARED: &str =
        "`handle` takes `&self`: one value of the type serves all messages, many at once";
    match handle.inputs.first() {
        Some(FnArg::Receiver(receiver)) => {
            let shared = matches!(receiver.kind, ReceiverKind::Reference(_, _, None));
            if !shared {
                errors.at(receiver, SHARED);
            }
            shared
        }
        _ => {
            errors.here(handle.paren_token.span.open(), SHARED);
            false
        }
    }
}
