//! The attribute [`macro@handler`] and the macro [`main!`], as the facade re-exports them.
//!
//! | module | what it holds |
//! |---|---|
//! | `handler` | the attribute: parse, model, check, expand |
//! | `entry` | the generated `main` |
//! | `errors` | errors, all told at once |
//! | `nearest` | "did you mean" |

mod entry;
mod errors;
mod handler;
mod nearest;

use proc_macro::TokenStream;

#[doc = include_str!("handler.md")]
#[proc_macro_attribute]
pub fn handler(attribute: TokenStream, item: TokenStream) -> TokenStream {
    handler::expand(attribute.into(), &item.into()).into()
}

#[doc = include_str!("main.md")]
#[proc_macro]
pub fn main(input: TokenStream) -> TokenStream {
    entry::expand(input.into()).into()
}
