//! JSON.

use fastrand::Rng;
use loafer_core::{message::Message, translate::Json as Translator};

use super::{Order, Strict, assert_decodes};
use crate::{Seen, Target};

#[derive(Debug)]
pub(crate) struct Json;

/// Also of the envelopes, whose payloads these are.
pub(crate) const WORDS: &[&str] = &[
    "id", "name", "tags", "kind", "price", "paid", "counts", "part_of", "plain", "letter", "sized",
    "width", "height",
];

impl Target for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn words(&self) -> &'static [&'static str] {
        WORDS
    }

    fn decode(&self, input: &[u8], seen: &mut Seen) {
        let message = Message::new(input.to_vec());
        if let Some(order) = seen.message::<_, Order>(&Translator, &message) {
            assert_decodes(&Translator, &encoded(&order), &order);
        }
        seen.message::<_, Strict>(&Translator, &message);
        seen.message::<_, (u8, Option<String>)>(&Translator, &message);
        seen.message::<_, serde_json::Value>(&Translator, &message);
    }

    fn round_trip(&self, random: &mut Rng) -> Vec<u8> {
        let order = Order::random(random);
        let message = encoded(&order);
        assert_decodes(&Translator, &message, &order);
        message.payload().to_vec()
    }
}

fn encoded(order: &Order) -> Message {
    Message::new(serde_json::to_vec(order).unwrap_or_default())
}
