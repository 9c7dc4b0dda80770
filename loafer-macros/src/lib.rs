//! The attribute [`macro@handler`], the macro [`main!`] and the derives. The facade re-exports them.
//!
//! | module | what it holds |
//! |---|---|
//! | `handler` | the attribute: parse, model, check, expand |
//! | `entry` | the generated `main` |
//! | `event`, `context` | the derives of `Event`, `FromContext` and `OptionalFromContext` |
//! | `errors` | all errors of one expansion |
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

/// Makes a type an event: its values are published to the topic that the attribute names.
///
/// ```
/// use loafer::{Error, prelude::*};
/// use serde::Serialize;
///
/// #[derive(Serialize, Event)]
/// #[event(topic = "friend-created", version = 1)]
/// struct FriendCreated {
///     id: u64,
/// }
///
/// #[handler(route = "friend-wanted")]
/// async fn friend_wanted(id: u64, bus: Bus) -> Result<bool, Error> {
///     bus.publish(&FriendCreated { id }).await?;
///     Ok(true)
/// }
/// # fn main() {}
/// ```
///
/// `version` is 1 unless set. From 2 on, publishing sets the header `event-version`. Publishing always sets the header `event-type` to the topic.
///
/// Its values are JSON, so the type must also be `Serialize`, unless `encoding` names another type that encodes: `Protobuf` for `prost::Message`, `MessagePack`,
/// `Bytes`, `Text`, `Base64<…>` of each of these, or [one of your own](https://docs.rs/loafer/latest/loafer/message/trait.Encode.html).
/// The translator of the same name decodes it. Publishing then sets the header `content-type`.
///
/// ```
/// use loafer::prelude::*;
///
/// #[derive(Event)]
/// #[event(topic = "photo-taken", encoding = Base64<Bytes>)]
/// struct PhotoTaken(Vec<u8>);
///
/// impl AsRef<[u8]> for PhotoTaken {
///     fn as_ref(&self) -> &[u8] {
///         &self.0
///     }
/// }
/// # fn main() {
/// # let sent = Outgoing::event(&PhotoTaken(vec![0, 1, 2])).unwrap();
/// # assert_eq!(sent.message.payload(), "AAEC");
/// # }
/// ```
///
/// If the topic keeps groups in order, then fields say which group a value belongs to, and by which id the broker knows its duplicates:
///
/// ```
/// use loafer::prelude::*;
/// use serde::Serialize;
///
/// #[derive(Serialize, Event)]
/// #[event(topic = "paid.fifo", group = customer_id, deduplication_id = payment.id)]
/// struct Paid {
///     customer_id: String,
///     payment: Payment,
/// }
///
/// #[derive(Serialize)]
/// struct Payment {
///     id: u64,
/// }
///
/// # fn main() {
/// let paid = Paid { customer_id: "c7".to_owned(), payment: Payment { id: 12 } };
/// assert_eq!(paid.group().as_deref(), Some("c7"));
/// assert_eq!(paid.deduplication_id().as_deref(), Some("12"));
/// # }
/// ```
///
/// Each names a field that implements `Display`, or an `Option` of one. In a tuple struct, a number names the field. For more than a field, implement `Event` by hand.
#[proc_macro_derive(Event, attributes(event))]
pub fn event(input: TokenStream) -> TokenStream {
    event::expand(input.into()).into()
}

/// Makes a struct of extractors an extractor.
///
/// ```
/// use loafer::prelude::*;
///
/// struct Prices {
///     cents: u64,
/// }
///
/// #[derive(FromContext)]
/// struct Common {
///     prices: State<Prices>,
///     metadata: Metadata,
/// }
///
/// #[handler(route = "order-placed")]
/// async fn order_placed(count: u64, common: Common) -> bool {
///     count * common.prices.cents > 0 || common.metadata.attempt() > 3
/// }
/// # fn main() {}
/// ```
///
/// Each field is extracted by its type. If a field refuses the message, then the struct refuses it.
#[proc_macro_derive(FromContext)]
pub fn from_context(input: TokenStream) -> TokenStream {
    context::expand(input.into()).into()
}

/// Makes a struct of extractors optional: a handler takes it as `Option<…>`.
///
/// The struct is `None` if one of its fields is absent. If a field refuses the message, then the struct refuses it. The type of each field must be optional too, or an `Option` or a `Result`.
///
/// ```
/// use loafer::{extract::OptionalFromContext, prelude::*};
///
/// #[derive(Clone)]
/// struct Tenant(u64);
///
/// #[derive(FromContext, OptionalFromContext)]
/// struct Caller {
///     tenant: Extension<Tenant>,
///     metadata: Metadata,
/// }
///
/// #[handler(route = "order-placed")]
/// async fn order_placed(count: u64, caller: Option<Caller>) -> bool {
///     count > 0 && caller.is_none_or(|caller| caller.tenant.0.0 > 0 || caller.metadata.attempt() > 3)
/// }
/// # fn main() {}
/// ```
#[proc_macro_derive(OptionalFromContext)]
pub fn optional_from_context(input: TokenStream) -> TokenStream {
    context::expand_optional(input.into()).into()
}
