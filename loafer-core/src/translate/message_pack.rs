//! MessagePack payloads.

use std::io::ErrorKind;

use rmp_serde::{Deserializer, decode::Error, decode::ReadRefReader};
use serde::Deserialize;

use super::{
    Envelope, TranslateError, Translator,
    explain::{expected, location},
};
use crate::message::Message;

/// MessagePack payloads. Serde decodes them as any `T: Deserialize`, which may borrow from the payload. A struct may be a map or an array.
///
/// SQS carries only text, so use `Base64<MessagePack>` there. Needs the feature `messagepack`.
///
/// ```
/// use loafer::{Message, translate::{MessagePack, Translator}};
///
/// let message = Message::new(&b"\x93\x01\x02\x03"[..]);
/// let numbers: Vec<u8> = MessagePack.translate(&message)?;
/// assert_eq!(numbers, [1, 2, 3]);
/// # Ok::<(), loafer::translate::TranslateError>(())
/// ```
///
/// # Errors
///
/// If the payload is not MessagePack, does not fit the type, or goes on after its value. The error names the field path, never a value.
#[derive(Clone, Copy, Debug, Default)]
pub struct MessagePack;

/// How deeply values may be nested: as deeply as in JSON, so that decoding fits on the stack of a worker.
const DEPTH: usize = 128;

impl Envelope for MessagePack {
    const OPENS: bool = false;
}

#[diagnostic::do_not_recommend]
impl<'m, T: Deserialize<'m>> Translator<'m, T> for MessagePack {
    fn translate(&self, message: &'m Message) -> Result<T, TranslateError> {
        let mut deserializer = deserializer(message.payload());
        let value = T::deserialize(&mut deserializer)
            .map_err(|error| explain::<T>(message.payload(), &error))?;
        // The reader does not say how far it came: if it can read another marker, something is left.
        match <()>::deserialize(&mut deserializer) {
            Err(Error::InvalidMarkerRead(error)) if error.kind() == ErrorKind::UnexpectedEof => {
                Ok(value)
            }
            _ => Err(TranslateError::new(
                "the MessagePack payload goes on after its value",
            )),
        }
    }
}

impl<'m> Translator<'m, Message> for MessagePack {
    fn translate(&self, message: &'m Message) -> Result<Message, TranslateError> {
        Ok(message.clone())
    }
}

fn deserializer(payload: &[u8]) -> Deserializer<ReadRefReader<'_, [u8]>> {
    let mut deserializer = Deserializer::from_read_ref(payload);
    deserializer.set_max_depth(DEPTH);
    deserializer
}

/// Decodes once more to find the field, since the fast path does not track it.
#[cold]
fn explain<'m, T: Deserialize<'m>>(payload: &'m [u8], error: &Error) -> TranslateError {
    if payload.is_empty() {
        return TranslateError::new("the payload is empty, and no MessagePack");
    }
    let found = serde_path_to_error::deserialize::<_, T>(&mut deserializer(payload)).err();
    let at = found
        .map(|error| location(error.path()))
        .unwrap_or_default();
    let why = match error {
        Error::InvalidMarkerRead(_) | Error::InvalidDataRead(_) => ": it ends too early".to_owned(),
        Error::OutOfRange => ": a number is out of range".to_owned(),
        Error::Utf8Error(_) => ": a string is not UTF-8".to_owned(),
        Error::DepthLimitExceeded => ": it is nested too deeply".to_owned(),
        Error::Syntax(message) => expected(message),
        _ => String::new(),
    };
    TranslateError::new(format!(
        "the MessagePack payload does not fit the handler's type{at}{why}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "decoded only")]
    struct Friend<'m> {
        id: u32,
        name: &'m str,
    }

    fn error_of(payload: &'static [u8]) -> String {
        Translator::<Friend<'_>>::translate(&MessagePack, &Message::new(payload))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_struct_may_be_a_map_or_an_array_and_borrow() {
        for payload in [&b"\x82\xa2id\x07\xa4name\xa3ana"[..], b"\x92\x07\xa3ana"] {
            let message = Message::new(payload);
            let friend: Friend<'_> = MessagePack.translate(&message).unwrap();
            assert_eq!((friend.id, friend.name), (7, "ana"));
        }
    }

    #[test]
    fn a_wrong_type_names_the_field_and_not_the_value() {
        assert_eq!(
            error_of(b"\x82\xa2id\xa6secret\xa4name\xa3ana"),
            "the MessagePack payload does not fit the handler's type at `id`"
        );
    }

    #[test]
    fn what_is_cut_empty_or_too_long_says_so() {
        assert_eq!(error_of(b""), "the payload is empty, and no MessagePack");
        assert_eq!(
            error_of(b"\x92\x07\xa3an"),
            "the MessagePack payload does not fit the handler's type at `[1]`: it ends too early"
        );
        assert_eq!(
            error_of(b"\x92\x07\xa3ana\x91"),
            "the MessagePack payload goes on after its value"
        );
    }

    #[test]
    fn deep_nesting_is_refused() {
        let deep: &'static [u8] = vec![0x91; 100_000].leak();
        let error = Translator::<serde_json::Value>::translate(&MessagePack, &Message::new(deep))
            .unwrap_err();
        assert!(error.to_string().ends_with("nested too deeply"), "{error}");
    }
}
