//! Protocol Buffers.

use std::collections::BTreeMap;

use fastrand::Rng;
use loafer_core::{
    message::Message,
    translate::{Bytes, Protobuf as Translator},
};
use prost::Message as _;

use super::{assert_decodes, bytes, text};
use crate::{Seen, Target};

#[derive(Debug)]
pub(crate) struct Protobuf;

/// A message with a field of each kind. No floats: one that is no number is not equal to itself.
#[derive(Clone, PartialEq, prost::Message)]
struct Order {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(bytes = "bytes", tag = "3")]
    picture: Bytes,
    #[prost(sint32, repeated, tag = "4")]
    counts: Vec<i32>,
    #[prost(message, optional, boxed, tag = "5")]
    part_of: Option<Box<Self>>,
    #[prost(btree_map = "string, fixed64", tag = "6")]
    prices: BTreeMap<String, u64>,
    #[prost(bool, optional, tag = "7")]
    paid: Option<bool>,
    #[prost(oneof = "Kind", tags = "8, 9")]
    kind: Option<Kind>,
    #[prost(enumeration = "Colour", tag = "10")]
    colour: i32,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Kind {
    #[prost(string, tag = "8")]
    Letter(String),
    #[prost(fixed32, tag = "9")]
    Size(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
enum Colour {
    Red = 0,
    Blue = 1,
}

impl Target for Protobuf {
    fn name(&self) -> &'static str {
        "protobuf"
    }

    fn decode(&self, input: &[u8], seen: &mut Seen) {
        let message = Message::new(input.to_vec());
        if let Some(order) = seen.message::<_, Order>(&Translator, &message) {
            assert_decodes(&Translator, &Message::new(order.encode_to_vec()), &order);
        }
    }

    fn round_trip(&self, random: &mut Rng) -> Vec<u8> {
        let order = order(random);
        let message = Message::new(order.encode_to_vec());
        assert_decodes(&Translator, &message, &order);
        message.payload().to_vec()
    }
}

fn order(random: &mut Rng) -> Order {
    let inner = random.u8(..4) == 0;
    Order {
        id: random.u64(..) >> random.u8(..64),
        name: text(random),
        picture: bytes(random).into(),
        counts: (0..random.usize(..5)).map(|_| random.i32(..)).collect(),
        part_of: inner.then(|| Box::new(order(random))),
        prices: (0..random.usize(..3))
            .map(|_| (text(random), random.u64(..)))
            .collect(),
        paid: random.choice([None, Some(true), Some(false)]).flatten(),
        kind: match random.u8(..3) {
            0 => None,
            1 => Some(Kind::Letter(text(random))),
            _ => Some(Kind::Size(random.u32(..))),
        },
        colour: if random.bool() {
            Colour::Red
        } else {
            Colour::Blue
        }
        .into(),
    }
}
