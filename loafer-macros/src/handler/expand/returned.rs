//! What becomes of what a handler returned: an outcome, or messages to publish.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{Index, spanned::Spanned};

use crate::handler::model::{Call, Publish};

/// The value of the call's body, made of `__said`.
pub(super) fn returned(call: &Call, raw: &TokenStream) -> TokenStream {
    let span = call.returns.span();
    // One span for both: only so is the complaint about its type told here.
    let said = Ident::new("__said", span);
    match (&call.message.batch, &call.publish) {
        (Some(_), _) => quote_spanned!(span=> __loafer::batch_outcome(#said, #raw)),
        (None, None) => quote_spanned!(span=> __loafer::outcome(#said)),
        (None, Some(publish)) => published(call, publish),
    }
}

/// Publishes what was returned; the message is acked once the broker confirmed all of it.
fn published(call: &Call, publish: &Publish) -> TokenStream {
    let span = call.returns.span();
    let said = Ident::new("__said", span);
    let value = quote_spanned!(span=> __loafer::returned(__loafer::Returned(#said).result())?);
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
    quote! {
        let __value = #value;
        __loafer::#publish(&__bus, #messages) #wait
    }
}

/// The bus that a publishing handler's messages go out on: made before the call, of the message it handles, and there still when the call is over.
pub(super) fn bus(call: &Call) -> Option<TokenStream> {
    let at = Index::from(usize::from(call.callee.instance().is_some()) + call.extractors.len());
    call.publish
        .as_ref()
        .map(|_| quote!(let __bus = __env.needs().#at.following(&__opened);))
}

/// The traits by which what is returned is told apart.
pub(super) fn traits() -> TokenStream {
    quote!(Plain as _, Single as _, Value as _)
}
