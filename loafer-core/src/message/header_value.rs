//! Values of headers that are no text.

use std::fmt;

use base64::{display::Base64Display, engine::general_purpose::STANDARD};
use bytes::Bytes;

/// The value of a header that is a number or bytes, where the broker has more than text: the `Number` and `Binary` attributes of SQS and SNS, the
/// integers, doubles and byte arrays of AMQP.
///
/// Its [`Display`](fmt::Display) is the text that [`Headers::get`](super::Headers::get) returns: the number, or the bytes in base64.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum HeaderValue {
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// Any bytes.
    Binary(Bytes),
}

impl HeaderValue {
    /// Returns the number that a text is. `None` means that it is none.
    #[must_use]
    pub fn number(text: &str) -> Option<Self> {
        let whole = text.parse().map(Self::Int);
        whole.or_else(|_| text.parse().map(Self::Float)).ok()
    }
}

impl fmt::Display for HeaderValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => number.fmt(f),
            Self::Float(number) => number.fmt(f),
            Self::Binary(bytes) => Base64Display::new(bytes, &STANDARD).fmt(f),
        }
    }
}

/// Shows the type alone: the value may be personal data or a secret.
impl fmt::Debug for HeaderValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Int(_) => "Int",
            Self::Float(_) => "Float",
            Self::Binary(_) => "Binary",
        })
    }
}

macro_rules! from {
    ($($from:ty => $variant:ident),*) => {
        $(impl From<$from> for HeaderValue {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}

from!(i64 => Int, i32 => Int, u32 => Int, f64 => Float, Bytes => Binary, Vec<u8> => Binary);
