//! Binary payloads on brokers that carry text.

use std::borrow::Cow;

use ::base64::{
    DecodeError, Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::{Envelope, Json, TranslateError, Translator};
use crate::message::Message;

/// Payloads in base64, for example binary ones on SQS, which carries only text. `T` decodes what was encoded: `Base64<Protobuf>`.
///
/// It accepts both alphabets of [RFC 4648](https://www.rfc-editor.org/rfc/rfc4648), with or without padding, and skips white space.
///
/// ```
/// use loafer::{Message, translate::{Base64, Bytes, Envelope, Translator}};
///
/// let base64 = Base64::of(Bytes::new());
/// let message = base64.open_inner(Message::new("AAEC"))?;
/// let bytes: &[u8] = base64.translate(&message)?;
/// assert_eq!(bytes, [0, 1, 2]);
/// # Ok::<(), loafer::translate::TranslateError>(())
/// ```
///
/// # Errors
///
/// If the payload is not base64. The error names the position of the first wrong byte.
#[derive(Clone, Copy, Debug, Default)]
pub struct Base64<T = Json> {
    payload: T,
}

impl Base64 {
    /// Returns a translator for payloads in JSON.
    pub const fn new() -> Self {
        Self { payload: Json }
    }
}

impl<T> Base64<T> {
    /// Returns a translator for payloads that `payload` decodes.
    pub const fn of(payload: T) -> Self {
        Self { payload }
    }
}

impl<T: Envelope> Envelope for Base64<T> {
    fn open<'m>(&self, raw: &'m Message) -> Result<Cow<'m, Message>, TranslateError> {
        let payload = decode(raw.payload()).map_err(|error| {
            TranslateError::new(match error {
                DecodeError::InvalidByte(at, _)
                | DecodeError::InvalidLastSymbol { offset: at, .. } => {
                    format!("the payload is no base64: wrong byte at {at}")
                }
                _ => "the payload is no base64: its end is missing".to_owned(),
            })
        })?;
        let opened = raw.clone().with_payload(payload);
        self.payload.open_inner(opened).map(Cow::Owned)
    }
}

impl<'m, X, T: Translator<'m, X>> Translator<'m, X> for Base64<T> {
    fn translate(&self, message: &'m Message) -> Result<X, TranslateError> {
        self.payload.translate(message)
    }
}

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Returns the bytes that the text encodes.
///
/// # Errors
///
/// If the text is not base64.
pub fn decode(text: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let engine = match memchr::memchr2(b'-', b'_', text) {
        Some(_) => &URL_SAFE,
        None => &STANDARD,
    };
    engine.decode(text).or_else(|error| {
        let bare: Vec<u8> = text
            .iter()
            .copied()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect();
        match bare.len() == text.len() {
            true => Err(error),
            // The first error has the position in the text with its white space.
            false => engine.decode(bare).map_err(|_| error),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::translate::Bytes;

    fn open(payload: &'static str) -> Result<Bytes, String> {
        Base64::of(Bytes::new())
            .open(&Message::new(payload))
            .map(|message| message.payload().clone())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn both_alphabets_with_and_without_padding_are_taken() {
        for text in ["+/8=", "+/8", "-_8=", "-_8", " +/8=\n", "+/\r\n8="] {
            assert_eq!(open(text).unwrap(), [0xfb, 0xff][..], "{text:?}");
        }
        assert_eq!(open("").unwrap(), ""[..]);
    }

    #[test]
    fn a_wrong_byte_is_reported_by_its_position() {
        assert_eq!(
            open("AAA!").unwrap_err(),
            "the payload is no base64: wrong byte at 3"
        );
        assert_eq!(
            open("AAAAA").unwrap_err(),
            "the payload is no base64: its end is missing"
        );
    }
}
