//! `#[handler]`: parse → check → expand, around the model.

mod check;
mod expand;
mod model;
mod parse;

use proc_macro2::TokenStream;
use quote::quote;

use crate::errors::Errors;

/// The user's item, untouched, and beside it its registration or everything that is wrong with it.
pub(crate) fn expand(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let keys = parse::Keys::parse(attribute, &mut errors);
    let parsed = parse::Item::parse(item.clone(), &mut errors);
    let handler = parsed.and_then(|parsed| check::check(keys, parsed, &mut errors));
    match handler {
        Some(handler) if errors.count() == 0 => {
            let registration = expand::expand(&handler);
            quote!(#item #registration)
        }
        _ => quote!(#item #errors),
    }
}
