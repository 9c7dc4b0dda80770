//! The targets, and the values they encode.

mod amqp_address;
mod amqp_properties;
mod base64;
mod cloudevents;
mod eventbridge;
mod json;
mod message_pack;
mod packed;
mod protobuf;
mod raw;
mod s3_event;
mod sns;

use std::{collections::BTreeMap, fmt::Debug};

use fastrand::Rng;
use loafer_core::{
    message::Message,
    translate::{Envelope, Translator},
};
use serde::{Deserialize, Serialize};

use self::{
    amqp_address::AmqpAddress,
    amqp_properties::AmqpProperties,
    base64::Base64,
    cloudevents::Cloudevents,
    eventbridge::EventBridge,
    json::Json,
    message_pack::MessagePack,
    packed::Packed,
    protobuf::Protobuf,
    raw::{Bytes, Text},
    s3_event::S3Event,
    sns::Sns,
};
use crate::{seen::assert_same, target::Target};

/// All targets.
pub const ALL: [&dyn Target; 13] = [
    &Json,
    &Text,
    &Bytes,
    &Protobuf,
    &MessagePack,
    &Base64,
    &Cloudevents,
    &Sns,
    &EventBridge,
    &S3Event,
    &Packed,
    &AmqpAddress,
    &AmqpProperties,
];

/// The target of this name.
pub fn named(name: &str) -> Option<&'static dyn Target> {
    ALL.into_iter().find(|target| target.name() == name)
}

/// A value with one field of each kind that serde knows. No floats: not every one of JSON survives the way.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Order {
    id: u64,
    name: String,
    tags: Vec<String>,
    kind: Kind,
    price: Option<i32>,
    paid: bool,
    counts: BTreeMap<String, u8>,
    part_of: Option<Box<Self>>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Plain,
    Letter(char),
    Sized {
        width: u16,
        height: i64,
    },
}

/// One that refuses what it does not know.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "decoded only")]
pub(crate) struct Strict {
    id: u8,
    kind: Option<Never>,
}

#[derive(Debug, Deserialize)]
pub(crate) enum Never {}

impl Order {
    pub(crate) fn random(random: &mut Rng) -> Self {
        let mut order = Self {
            id: random.u64(..) >> random.u8(..64),
            name: text(random),
            tags: (0..random.usize(..4)).map(|_| text(random)).collect(),
            kind: match random.u8(..3) {
                0 => Kind::Plain,
                1 => Kind::Letter(random.char(..)),
                _ => Kind::Sized {
                    width: random.u16(..),
                    height: random.i64(..),
                },
            },
            price: random.bool().then(|| random.i32(..)),
            paid: random.bool(),
            counts: (0..random.usize(..3))
                .map(|_| (text(random), random.u8(..)))
                .collect(),
            part_of: None,
        };
        if random.u8(..4) == 0 {
            order.part_of = Some(Box::new(Self::random(random)));
        }
        order
    }
}

/// A text of any letters, mostly plain ones.
pub(crate) fn text(random: &mut Rng) -> String {
    let plain = random.u8(..3) > 0;
    (0..random.usize(..12))
        .map(|_| match plain {
            true => random.alphanumeric(),
            false => random.char(..),
        })
        .collect()
}

/// Any bytes.
pub(crate) fn bytes(random: &mut Rng) -> Vec<u8> {
    (0..random.usize(..40)).map(|_| random.u8(..)).collect()
}

/// Fails where a message does not open and decode to this value.
pub(crate) fn assert_decodes<E, X>(translator: &E, raw: &Message, value: &X)
where
    E: Envelope + for<'m> Translator<'m, X>,
    X: Debug + PartialEq,
{
    let decoded: Result<X, _> = translator
        .open(raw)
        .and_then(|opened| translator.translate(&opened));
    match decoded {
        Ok(decoded) => assert_same(&decoded, value, "what was decoded and what was encoded"),
        Err(error) => panic!("what was encoded does not decode: {error}"),
    }
}

/// Fails where a message does not open to just this payload.
pub(crate) fn assert_holds(envelope: &impl Envelope, raw: &Message, payload: &[u8]) {
    match envelope.open(raw) {
        Ok(opened) => assert_same(
            &&opened.payload()[..],
            &payload,
            "what was opened and what was put in",
        ),
        Err(error) => panic!("what was put in does not open: {error}"),
    }
}
