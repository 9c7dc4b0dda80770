//! Encodings: from a value to the payload of a message.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;

use crate::{
    SharedError,
    translate::{Base64, Bytes, Json, Text},
};

/// A payload, and the type of its content: `None` for JSON, which is what a message without a content type holds.
pub type Encoded = (Bytes, Option<&'static str>);

/// Encodes values of a type: `encoding = Protobuf` of an event. The translator of the same name decodes them.
///
/// | encoding | values | content type |
/// |---|---|---|
/// | [`Json`] | any `Serialize` | none |
/// | [`Bytes`], [`Text`] | any `AsRef<[u8]>`, any `AsRef<str>` | `application/octet-stream`, `text/plain` |
/// | `Protobuf` (feature `protobuf`) | any `prost::Message` | `application/x-protobuf` |
/// | `MessagePack` (feature `messagepack`) | any `Serialize` | `application/vnd.msgpack` |
/// | [`Base64<E>`](Base64) | those of the encoding `E` | `text/plain` |
///
/// An encoding of one's own:
///
/// ```
/// use loafer::{Event, broker::SharedError, message::{Encode, Encoded}};
///
/// /// Numbers in a line, separated by commas.
/// #[derive(Default)]
/// struct Csv;
///
/// impl Encode<Measured> for Csv {
///     fn encode(&self, value: &Measured) -> Result<Encoded, SharedError> {
///         let line = format!("{},{}", value.0, value.1);
///         Ok((line.into(), Some("text/csv")))
///     }
/// }
///
/// #[derive(Event)]
/// #[event(topic = "measured", encoding = Csv)]
/// struct Measured(u32, u32);
/// # let sent = loafer::Outgoing::event(&Measured(1, 2))?;
/// # assert_eq!(sent.message.payload(), "1,2");
/// # assert_eq!(sent.message.headers().get("content-type"), Some("text/csv"));
/// # Ok::<(), loafer::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{T}` can't be encoded by `{Self}`",
    label = "can't be encoded",
    note = "for `Json` and `MessagePack`, derive `serde::Serialize`; `Protobuf` takes any `prost::Message`, `Bytes` any `AsRef<[u8]>`, `Text` any `AsRef<str>`",
    note = "another encoding is named as `#[event(topic = \"…\", encoding = Protobuf)]`; one of your own implements `loafer::message::Encode`"
)]
pub trait Encode<T: ?Sized>: Default {
    /// Returns the payload, and the type of its content, which is sent in the header [`CONTENT_TYPE`](crate::message::CONTENT_TYPE).
    ///
    /// # Errors
    ///
    /// If the value can't be encoded. The text goes to logs and must not quote the value.
    fn encode(&self, value: &T) -> Result<Encoded, SharedError>;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> Encode<T> for Json {
    fn encode(&self, value: &T) -> Result<Encoded, SharedError> {
        Ok((serde_json::to_vec(value)?.into(), None))
    }
}

#[diagnostic::do_not_recommend]
impl<T: AsRef<[u8]> + ?Sized> Encode<T> for Bytes {
    fn encode(&self, value: &T) -> Result<Encoded, SharedError> {
        let payload = Self::copy_from_slice(value.as_ref());
        Ok((payload, Some("application/octet-stream")))
    }
}

#[diagnostic::do_not_recommend]
impl<T: AsRef<str> + ?Sized> Encode<T> for Text {
    fn encode(&self, value: &T) -> Result<Encoded, SharedError> {
        Ok((value.as_ref().to_owned().into(), Some("text/plain")))
    }
}

#[diagnostic::do_not_recommend]
impl<T: ?Sized, E: Encode<T>> Encode<T> for Base64<E> {
    fn encode(&self, value: &T) -> Result<Encoded, SharedError> {
        let (payload, _) = E::default().encode(value)?;
        Ok((STANDARD.encode(payload).into(), Some("text/plain")))
    }
}

#[cfg(feature = "protobuf")]
#[diagnostic::do_not_recommend]
impl<T: prost::Message> Encode<T> for crate::translate::Protobuf {
    fn encode(&self, value: &T) -> Result<Encoded, SharedError> {
        Ok((value.encode_to_vec().into(), Some("application/x-protobuf")))
    }
}

#[cfg(feature = "messagepack")]
#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> Encode<T> for crate::translate::MessagePack {
    fn encode(&self, value: &T) -> Result<Encoded, SharedError> {
        let payload = rmp_serde::to_vec_named(value)?;
        Ok((payload.into(), Some("application/vnd.msgpack")))
    }
}
