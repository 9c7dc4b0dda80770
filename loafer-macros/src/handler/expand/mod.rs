//! The registration: a hidden constant beside the item, with a function that makes the handler ready for an app.
//!
//! Each type of the user's is named in one call of a hidden function with that type's span, so that the compiler's error stands there.

mod call;
mod options;
mod returned;

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use super::model::Handler;

pub(super) fn expand(handler: &Handler) -> TokenStream {
    let Handler {
        cfgs, route, call, ..
    } = handler;
    let ready = call::ready(handler);
    let options = options::options(handler);
    let route = match &handler.provider {
        Some(provider) => {
            let provider = quote_spanned!(provider.span()=> provider::<#provider>());
            quote!(::loafer::Route::new(#route).#provider)
        }
        None => quote!(__loafer::route(#route)),
    };
    let name = call.callee.name();
    let translator = handler
        .translator
        .as_ref()
        .map_or_else(|| "Json".to_owned(), call::short_name);
    let on = handler.on.as_ref().map(options::on);
    let of_batches = call.message.batch.as_ref().map(|_| quote!(.of_batches()));
    let replying = call.reply.then(|| quote!(.replying()));
    let publishes = call.publish.as_ref().map(returned::topics);
    quote! {
        #(#cfgs)*
        const _: () = {
            use loafer::{__private::self as __loafer, __private::traits::*};

            #ready

            fn __route() -> ::loafer::Route {
                #route
                    #options
                    #on
                    .declared(__loafer::location!(#name), #translator, __ready)
                    #of_batches
                    #replying
                    #publishes
            }

            __loafer::inventory::submit! { __loafer::Registration::new(__route) }
        };
    }
}
