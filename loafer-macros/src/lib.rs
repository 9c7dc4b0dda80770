//! The attribute [`macro@handler`], the macro [`main!`] and the derives, as the facade re-exports them.
//!
//! | module | what it holds |
//! |---|---|
//! | `handler` | the attribute: parse, model, check, expand |
//! | `entry` | the generated `main` |
//! | `event`, `context` | the derives of `Event` and `FromContext` |
//! | `errors` | errors, all told at once |
//! | `nearest` | "did you mean" |

mod context;
mod entry;
mod errors;
mod event;
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

/// Makes a type an event: its values are published to the topic it names.
///
/// ```ignore
/// #[derive(Serialize, Deserialize, Event)]
/// #[event(topic = "friend-created", version = 1)]
/// struct FriendCreated { id: String }
///
/// bus.publish(&FriendCreated { id: "1".to_owned() }).await?;
/// ```
///
/// `version` is 1 unless set. The type must also be `Serialize`.
#[proc_macro_derive(Event, attributes(event))]
pub fn event(input: TokenStream) -> TokenStream {
    event::expand(input.into()).into()
}

/// Makes a struct of extractors an extractor.
///
/// ```ignore
/// #[derive(FromContext)]
/// struct Common { pool: State<Pool>, metadata: Metadata }
///
/// #[handler(route = "order-placed")]
/// async fn order_placed(order: Order, common: Common) -> bool { … }
/// ```
///
/// Each field is made by its type; the first that refuses the message is the whole struct's refusal.
#[proc_macro_derive(FromContext)]
pub fn from_context(input: TokenStream) -> TokenStream {
    context::expand(input.into()).into()
}
