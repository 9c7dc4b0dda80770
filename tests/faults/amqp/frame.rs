//! Frames of AMQP 0-9-1, as bytes and as what they say.

use lapin::{
    protocol::{
        AMQPClass,
        basic::{AMQPMethod, AMQPProperties, parse_properties},
        parse_class,
    },
    types::AMQPValue,
};

/// What a client says first is no frame.
const GREETING: &[u8] = b"AMQP";
/// Type, channel and size; behind the payload there is one byte more.
const HEAD: usize = 7;
/// Of the content header, what is before its properties: class, weight, size of the body.
const SIZES: usize = 12;

/// One frame, or the greeting.
#[derive(Debug)]
pub(super) struct Frame(pub(super) Vec<u8>);

/// What a frame says, as far as anybody here wants to know.
#[derive(Debug)]
pub(super) enum Says {
    Basic(AMQPMethod),
    /// How long the body is, and what is said of it.
    Header(u64, Box<AMQPProperties>),
    Body,
    /// A channel of this number begins, maybe again.
    Opens,
    Other,
}

impl Frame {
    /// Takes the first whole frame out of what was read.
    pub(super) fn take(read: &mut Vec<u8>) -> Option<Self> {
        let whole = match read.get(..HEAD)? {
            start if start.starts_with(GREETING) => 8,
            start => HEAD + u32::from_be_bytes(start[3..].try_into().unwrap()) as usize + 1,
        };
        let frame = read.get(..whole)?.to_vec();
        read.drain(..whole);
        Some(Self(frame))
    }

    pub(super) fn channel(&self) -> u16 {
        u16::from_be_bytes([self.0[1], self.0[2]])
    }

    pub(super) fn payload(&self) -> &[u8] {
        &self.0[HEAD..self.0.len() - 1]
    }

    pub(super) fn says(&self) -> Says {
        let payload = match self.0[0] {
            b'A' => return Says::Other,
            _ => self.payload(),
        };
        match self.0[0] {
            1 if payload.starts_with(&[0, 20, 0, 10]) => Says::Opens,
            // Of the class `basic`.
            1 if payload.starts_with(&[0, 60]) => match parse_class(payload).unwrap().1 {
                AMQPClass::Basic(method) => Says::Basic(method),
                _ => Says::Other,
            },
            2 => {
                let length = u64::from_be_bytes(payload[4..SIZES].try_into().unwrap());
                let properties = parse_properties(&payload[SIZES..]).unwrap().1;
                Says::Header(length, Box::new(properties))
            }
            3 => Says::Body,
            _ => Says::Other,
        }
    }
}

/// A header that is a whole number.
pub(super) fn number(properties: &AMQPProperties, name: &str) -> Option<u64> {
    let headers = properties.headers().as_ref()?;
    match *headers.inner().get(name)? {
        AMQPValue::LongLongInt(number) => number.try_into().ok(),
        AMQPValue::LongInt(number) => number.try_into().ok(),
        AMQPValue::LongUInt(number) => Some(number.into()),
        AMQPValue::ShortInt(number) => number.try_into().ok(),
        AMQPValue::ShortShortInt(number) => number.try_into().ok(),
        AMQPValue::ShortShortUInt(number) => Some(number.into()),
        _ => None,
    }
}
