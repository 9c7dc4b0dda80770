//! Payloads as they are: text and bytes.

/// The payload as it is. A handler with `translator = Bytes` takes `Bytes`, `Vec<u8>` or `&[u8]`.
///
/// This is the type of the crate `bytes`, so that the translator and what it decodes to have one name. `Bytes` and `&[u8]` share the payload.
pub use bytes::Bytes;

use super::{Envelope, TranslateError, Translator};
use crate::message::Message;

/// Text in UTF-8. A handler with `translator = Text` takes `String`, or `&str`, which shares the payload.
///
/// # Errors
///
/// If the payload is not UTF-8. The error names the position of the first wrong byte.
#[derive(Clone, Copy, Debug, Default)]
pub struct Text;

impl Envelope for Text {
    const OPENS: bool = false;
}

impl<'m> Translator<'m, &'m str> for Text {
    fn translate(&self, message: &'m Message) -> Result<&'m str, TranslateError> {
        std::str::from_utf8(message.payload()).map_err(|error| {
            TranslateError::new(format!(
                "the payload is not UTF-8: first bad byte at {}",
                error.valid_up_to()
            ))
        })
    }
}

impl<'m> Translator<'m, String> for Text {
    fn translate(&self, message: &'m Message) -> Result<String, TranslateError> {
        self.translate(message).map(str::to_owned)
    }
}

impl<'m> Translator<'m, Message> for Text {
    fn translate(&self, message: &'m Message) -> Result<Message, TranslateError> {
        Ok(message.clone())
    }
}

impl Envelope for Bytes {
    const OPENS: bool = false;
}

impl<'m> Translator<'m, &'m [u8]> for Bytes {
    fn translate(&self, message: &'m Message) -> Result<&'m [u8], TranslateError> {
        Ok(message.payload())
    }
}

impl<'m> Translator<'m, Vec<u8>> for Bytes {
    fn translate(&self, message: &'m Message) -> Result<Vec<u8>, TranslateError> {
        Ok(message.payload().to_vec())
    }
}

impl<'m> Translator<'m, Self> for Bytes {
    fn translate(&self, message: &'m Message) -> Result<Self, TranslateError> {
        Ok(message.payload().clone())
    }
}

impl<'m> Translator<'m, Message> for Bytes {
    fn translate(&self, message: &'m Message) -> Result<Message, TranslateError> {
        Ok(message.clone())
    }
}
