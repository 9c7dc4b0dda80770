//! From a raw message to what a handler takes: envelopes and translators.

mod aws;
mod base64;
mod cloudevents;
mod error;
mod explain;
mod json;
mod json_path;
#[cfg(feature = "messagepack")]
mod message_pack;
#[cfg(feature = "protobuf")]
mod protobuf;
mod raw;

use std::borrow::Cow;

use crate::message::Message;

#[cfg(feature = "messagepack")]
pub use self::message_pack::MessagePack;
#[cfg(feature = "protobuf")]
pub use self::protobuf::Protobuf;
pub use self::{
    aws::{EventBridge, S3Bucket, S3Event, S3Notification, S3Object, S3Record, Sns},
    base64::Base64,
    cloudevents::Cloudevents,
    error::TranslateError,
    json::Json,
    raw::{Bytes, Text},
};
#[doc(hidden)]
pub use self::{
    explain::{expected, place},
    json::decode as decode_json,
};

/// Opens the envelope: payload, headers and topic as the sender meant them.
///
/// Borrowed where there is none: so a translator that only decodes says `impl Envelope for Mine {}`. `translator = Sns` names a type that is both this
/// and a [`Translator`].
///
/// ```
/// use std::borrow::Cow;
/// use loafer::{translate::{Envelope, TranslateError}, Message};
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
    fn open<'m>(&self, raw: &'m Message) -> Result<Cow<'m, Message>, TranslateError> {
        Ok(Cow::Borrowed(raw))
    }

    /// The same of a message that an envelope around this one opened.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    fn open_inner(&self, opened: Message) -> Result<Message, TranslateError> {
        let inner = match self.open(&opened)? {
            Cow::Owned(inner) => Some(inner),
            Cow::Borrowed(_) => None,
        };
        Ok(inner.unwrap_or(opened))
    }
}

/// Decodes an opened message; `T` may borrow from it.
///
/// ```
/// use loafer::{translate::{Envelope, TranslateError, Translator}, Message};
///
/// /// Tables in CSV: gives their lines.
/// #[derive(Default)]
/// struct Csv;
///
/// impl Envelope for Csv {}
///
/// impl<'m> Translator<'m, Vec<Vec<&'m str>>> for Csv {
///     fn translate(&self, message: &'m Message) -> Result<Vec<Vec<&'m str>>, TranslateError> {
///         let text = std::str::from_utf8(message.payload()).map_err(|_| TranslateError::new("the table is not UTF-8"))?;
///         Ok(text.lines().map(|line| line.split(',').collect()).collect())
///     }
/// }
///
/// assert_eq!(Csv.translate(&Message::new("ana,3\nbob,5"))?, [["ana", "3"], ["bob", "5"]]);
/// # Ok::<(), TranslateError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{T}` cannot be decoded by the translator `{Self}`",
    label = "cannot be decoded",
    note = "for `Json`, derive `serde::Deserialize`; `Text` gives `String` and `&str`, `Bytes` gives `Bytes`, `Vec<u8>` and `&[u8]`",
    note = "the message is a handler's first argument, before `Metadata`, `State<S>` and the other extractors",
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
