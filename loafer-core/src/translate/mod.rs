//! From a raw message to what a handler takes: envelopes and translators.

mod error;
mod json;
mod raw;

use std::borrow::Cow;

use crate::Message;

pub use self::{
    error::TranslateError,
    json::Json,
    raw::{Bytes, Text},
};

/// Opens the envelope: payload, headers and topic as the sender meant them.
///
/// Borrowed where there is none. `translator = Sns` names a type that is both this and a [`Translator`].
///
/// ```
/// use std::borrow::Cow;
/// use loafer_core::{Envelope, Message, TranslateError};
///
/// /// Payloads behind a one-byte version.
/// #[derive(Default)]
/// struct Versioned;
///
/// impl Envelope for Versioned {
///     fn open<'m>(&self, raw: &'m Message) -> Result<Cow<'m, Message>, TranslateError> {
///         match raw.payload().first() {
///             Some(1) => Ok(Cow::Owned(raw.clone().with_payload(raw.payload().slice(1..)))),
///             _ => Err(TranslateError::new("not a version 1 payload")),
///         }
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no translator",
    label = "no translator",
    note = "use `Json`, `Text`, `Bytes` or `Sns`, or a type of your own that implements `Envelope` and `Translator`"
)]
pub trait Envelope: Default + Send + Sync + 'static {
    /// The message inside.
    ///
    /// # Errors
    ///
    /// Where the envelope is not what it should be. The text must not quote the payload.
    fn open<'m>(&self, raw: &'m Message) -> Result<Cow<'m, Message>, TranslateError>;
}

/// Decodes an opened message; `T` may borrow from it.
#[diagnostic::on_unimplemented(
    message = "`{T}` cannot be decoded by the translator `{Self}`",
    label = "cannot be decoded",
    note = "for `Json`, derive `serde::Deserialize`; `Text` gives `String` and `&str`, `Bytes` gives `Bytes`, `Vec<u8>` and `&[u8]`",
    note = "the argument of a batch handler is written out, as `Batch<Friend>`: `#[handler]` does not see through other names of it"
)]
pub trait Translator<'m, T> {
    /// The value.
    ///
    /// # Errors
    ///
    /// Where the payload is not a `T`. The text must not quote the payload.
    fn translate(&self, message: &'m Message) -> Result<T, TranslateError>;
}
