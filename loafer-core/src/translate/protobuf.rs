//! Protocol Buffers payloads.

use super::{Envelope, TranslateError, Translator};
use crate::message::Message;

/// Protocol Buffers payloads. `prost` decodes them as any `T: prost::Message + Default`; prost derives such types, or generates them from `.proto`
/// files.
///
/// Fields of the type `Bytes` share the payload. SQS carries only text, so use `Base64<Protobuf>` there. Needs the feature `protobuf`.
///
/// ```
/// use loafer::{Message, translate::{Protobuf, Translator}};
///
/// #[derive(PartialEq, prost::Message)]
/// struct Friend {
///     #[prost(uint64, tag = "1")]
///     id: u64,
///     #[prost(string, tag = "2")]
///     name: String,
/// }
///
/// let friend = Friend { id: 7, name: "ana".into() };
/// let message = Message::new(prost::Message::encode_to_vec(&friend));
/// let decoded: Friend = Protobuf.translate(&message)?;
/// assert_eq!(decoded, friend);
/// # Ok::<(), loafer::translate::TranslateError>(())
/// ```
///
/// # Errors
///
/// If the payload is not the wire format of the message. The error names the field path, never a value.
#[derive(Clone, Copy, Debug, Default)]
pub struct Protobuf;

impl Envelope for Protobuf {
    const OPENS: bool = false;
}

#[diagnostic::do_not_recommend]
impl<'m, T: prost::Message + Default> Translator<'m, T> for Protobuf {
    fn translate(&self, message: &'m Message) -> Result<T, TranslateError> {
        T::decode(message.payload().clone()).map_err(|error| explain(&error))
    }
}

impl<'m> Translator<'m, Message> for Protobuf {
    fn translate(&self, message: &'m Message) -> Result<Message, TranslateError> {
        Ok(message.clone())
    }
}

/// Explains an error of prost. Prost's errors have no kinds, and some of their texts quote what was read, so only texts that are known to quote
/// nothing are passed on.
#[cold]
fn explain(error: &prost::DecodeError) -> TranslateError {
    let text = error.to_string();
    let text = text
        .strip_prefix("failed to decode Protobuf message: ")
        .unwrap_or(&text);
    let mut path = Vec::new();
    let mut rest = text;
    while let Some((field, behind)) = rest
        .split_once(": ")
        .and_then(|(at, behind)| Some((field_of(at)?, behind)))
    {
        path.push(field);
        rest = behind;
    }
    // Prost names the innermost field first.
    path.reverse();
    let at = match path.is_empty() {
        true => String::new(),
        false => format!(" at `{}`", path.join(".")),
    };
    let why = [
        ("buffer underflow", "it ends too early"),
        (
            "delimited length exceeded",
            "a field is longer than what holds it",
        ),
        ("length delimiter exceeds", "a field is too long"),
        ("invalid string value", "a string is not UTF-8"),
        ("invalid varint", "a number is too long"),
        ("invalid wire type", "a field is of another wire type"),
        ("recursion limit", "it is nested too deeply"),
    ];
    let why = why
        .iter()
        .find(|(start, _)| rest.starts_with(start))
        .map_or("it is no such message", |(_, why)| why);
    TranslateError::new(format!(
        "the Protobuf payload does not fit the handler's type{at}: {why}"
    ))
}

/// Returns the field of `Message.field`, if both are names.
fn field_of(at: &str) -> Option<&str> {
    let is_a_name = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let (message, field) = at.split_once('.')?;
    (is_a_name(message) && is_a_name(field)).then_some(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(prost::Message)]
    struct Order {
        #[prost(message, optional, tag = "1")]
        friend: Option<Friend>,
    }

    #[derive(prost::Message)]
    struct Friend {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(bytes = "bytes", tag = "2")]
        picture: crate::translate::Bytes,
    }

    fn error_of(payload: &'static [u8]) -> String {
        Translator::<Order>::translate(&Protobuf, &Message::new(payload))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_wrong_field_is_named() {
        assert_eq!(
            error_of(b"\x0a\x03\x0a\x01\xff"),
            "the Protobuf payload does not fit the handler's type at `friend.name`: a string is not UTF-8"
        );
        assert_eq!(
            error_of(b"\x0a\x02\x08\x07"),
            "the Protobuf payload does not fit the handler's type at `friend.name`: a field is of another wire type"
        );
    }

    #[test]
    fn a_cut_payload_says_so() {
        assert_eq!(
            error_of(b"\x0a\x09"),
            "the Protobuf payload does not fit the handler's type at `friend`: it ends too early"
        );
    }

    #[test]
    fn bytes_share_the_payload() {
        let message = Message::new(&b"\x12\x03abc"[..]);
        let friend: Friend = Protobuf.translate(&message).unwrap();
        assert!(
            message
                .payload()
                .as_ptr_range()
                .contains(&friend.picture.as_ptr())
        );
    }
}
