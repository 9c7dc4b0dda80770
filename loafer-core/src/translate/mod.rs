//! Envelopes and translators: from a raw message to the first argument of a handler.
//!
//! | translator | opens | decodes |
//! |---|---|---|
//! | [`Json`] | – | JSON, by serde |
//! | [`Text`], [`Bytes`] | – | UTF-8; any bytes |
//! | `MessagePack` | – | MessagePack, by serde (feature `messagepack`) |
//! | `Protobuf` | – | Protocol Buffers, by prost (feature `protobuf`) |
//! | [`Base64`] | base64 | with another translator |
//! | [`Cloudevents`] | CloudEvents 1.0, in both modes | with another translator |
//! | [`Sns`], [`EventBridge`] | what SNS and EventBridge deliver | with another translator |
//! | [`S3Event`] | the same, if there is any | event notifications of S3 |

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
    base64::decode as decode_base64,
    explain::{expected, location},
    json::decode as decode_json,
};

/// Opens the envelope of a message: returns the message with payload, headers and topic as its sender meant them.
///
/// If there is no envelope, it returns the message itself, borrowed. That is the default: a translator that only decodes says
/// `impl Envelope for Mine {}`. A type that `translator = …` of `#[handler]` names is both an envelope and a [`Translator`].
///
/// ```
/// use std::borrow::Cow;
/// use loafer::{translate::{Envelope, TranslateError}, Message};
///
/// /// Payloads after one byte with their version.
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
    /// Whether there is anything to open. `false` saves the call where somebody must look into the message before its handler does.
    #[doc(hidden)]
    const OPENS: bool = true;

    /// Returns the message in the envelope. By default, the message itself.
    ///
    /// # Errors
    ///
    /// If the envelope is not what it should be. The text goes to logs and must not quote the payload.
    fn open<'m>(&self, raw: &'m Message) -> Result<Cow<'m, Message>, TranslateError> {
        Ok(Cow::Borrowed(raw))
    }

    /// Opens a message that came out of an envelope around this one, and takes it by value.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open).
    fn open_inner(&self, opened: Message) -> Result<Message, TranslateError> {
        let inner = match self.open(&opened)? {
            Cow::Owned(inner) => Some(inner),
            Cow::Borrowed(_) => None,
        };
        Ok(inner.unwrap_or(opened))
    }
}

/// Decodes an opened message as a `T`, which may borrow from it.
///
/// ```
/// use loafer::{translate::{Envelope, TranslateError, Translator}, Message};
///
/// /// Tables in CSV. They are decoded to lines of fields.
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
    /// Decodes the payload.
    ///
    /// # Errors
    ///
    /// If the payload is not a `T`. The text goes to logs and must not quote the payload.
    fn translate(&self, message: &'m Message) -> Result<T, TranslateError>;
}
