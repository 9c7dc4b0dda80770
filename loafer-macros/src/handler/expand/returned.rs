//! What a handler returned: an outcome, messages to publish, or a reply.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Index, spanned::Spanned};

use super::call::given;
use crate::handler::model::{Call, Publish};

/// The end of the call's body, with the value made of `__said`.
pub(super) fn returned(call: &Call, raw: &TokenStream) -> TokenStream {
    let span = call.returns.span();
    // One span for both: otherwise the compiler reports a wrong type elsewhere.
    let said = Ident::new("__said", span);
    match (&call.message.batch, &call.publish) {
        (Some(_), _) => ended(&quote_spanned!(span=> __loafer::batch_outcome(#said, #raw))),
        (None, None) if call.reply => replied(call),
        (None, None) => ended(&quote_spanned!(span=> __loafer::outcome(#said))),
        (None, Some(publish)) => published(call, publish),
    }
}

/// Publishes what was returned; the message is acked once the broker confirmed all of it.
fn published(call: &Call, publish: &Publish) -> TokenStream {
    let span = call.returns.span();
    let said = Ident::new("__said", span);
    let value = quote_spanned!(span=> __loafer::returned(__loafer::Returned(#said).result()));
    let value = given(&value);
    let one = Ident::new("__one", span);
    let address = match &publish.topic {
        Some(topic) => quote_spanned!(span=> |#one| __loafer::One(#one).to(#topic)),
        None => quote_spanned!(span=> __loafer::addressed),
    };
    let each =
        |several: TokenStream| quote_spanned!(span=> __loafer::Several(#several).each(#address));
    let messages = match publish.tuple {
        None => each(quote!(__value)),
        Some(elements) => {
            let elements: Vec<_> = (0..elements)
                .map(|at| format_ident!("__value_{at}"))
                .collect();
            let all = elements.iter().map(|element| each(quote!(#element)));
            quote!({
                let (#(#elements,)*) = __value;
                [#(#all),*].into_iter().flatten().collect()
            })
        }
    };
    let wait = call.asynchronous.then(|| quote!(.await));
    let publish = if call.asynchronous {
        quote!(publish)
    } else {
        quote!(publish_blocking)
    };
    let published = ended(&quote!(__loafer::#publish(&__exit, __messages) #wait));
    quote! {
        let __value = #value;
        let __messages = #messages;
        #published
    }
}

/// Returns `.publishes(…)`, which names the topics that the handler publishes to.
pub(super) fn topics(publish: &Publish) -> TokenStream {
    if let Some(topic) = &publish.topic {
        return quote!(.publishes([#topic]));
    }
    // A hidden type can't be named here.
    let named = publish
        .types
        .iter()
        .filter(|ty| !ty.to_token_stream().to_string().contains("impl "));
    // Each is an `Option`: not every type names a topic.
    named
        .map(|ty| quote!(.publishes(__loafer::of_type::<#ty>().result().each().topic())))
        .collect()
}

/// Leaves the call.
fn ended(value: &TokenStream) -> TokenStream {
    quote!(break #value;)
}

/// Sends what was returned to whoever asked; the message is acked once the broker confirmed it.
fn replied(call: &Call) -> TokenStream {
    let span = call.returns.span();
    let said = Ident::new("__said", span);
    let value = quote_spanned!(span=> __loafer::returned(__loafer::Returned(#said).result()));
    let value = given(&value);
    let one = Ident::new("__one", span);
    let message = quote_spanned!(span=> |#one| __loafer::Reply(#one).message());
    let wait = call.asynchronous.then(|| quote!(.await));
    let reply = if call.asynchronous {
        quote!(reply)
    } else {
        quote!(reply_blocking)
    };
    let replied = ended(&quote!(__loafer::#reply(&__exit, __message) #wait));
    quote! {
        let __value = #value;
        let __message = __loafer::Answer(__value).given().map(#message);
        #replied
    }
}

/// Whether what is returned goes out on the app's bus.
pub(super) fn goes_out(call: &Call) -> bool {
    call.publish.is_some() || call.reply
}

/// Makes what publishes the returned value. It is made before the call, from the message, and outlives the call.
pub(super) fn exit(call: &Call, raw: &TokenStream) -> Option<TokenStream> {
    let at = Index::from(usize::from(call.callee.instance().is_some()) + call.extractors.len());
    let bus = quote!(__env.needs().#at);
    match (&call.publish, call.reply) {
        (Some(_), _) => Some(quote!(let __exit = #bus.following(&__opened);)),
        (None, true) => {
            Some(quote!(let __exit = __loafer::replier(&#bus, &__env.context(&__opened, #raw));))
        }
        (None, false) => None,
    }
}
