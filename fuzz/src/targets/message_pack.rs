//! MessagePack.

use fastrand::Rng;
use loafer_core::{message::Message, translate::MessagePack as Translator};

use super::{Order, Strict, assert_decodes, json};
use crate::{Seen, Target};

#[derive(Debug)]
pub(crate) struct MessagePack;

impl Target for MessagePack {
    fn name(&self) -> &'static str {
        "messagepack"
    }

    fn words(&self) -> &'static [&'static str] {
        json::WORDS
    }

    fn decode(&self, input: &[u8], seen: &mut Seen) {
        let message = Message::new(input.to_vec());
        if let Some(order) = seen.message::<_, Order>(&Translator, &message) {
            assert_decodes(&Translator, &as_map(&order), &order);
            assert_decodes(&Translator, &as_array(&order), &order);
        }
        seen.message::<_, Strict>(&Translator, &message);
        seen.message::<_, (u8, Option<String>)>(&Translator, &message);
        seen.message::<_, serde_json::Value>(&Translator, &message);
    }

    fn round_trip(&self, random: &mut Rng) -> Vec<u8> {
        let order = Order::random(random);
        let message = match random.bool() {
            true => as_map(&order),
            false => as_array(&order),
        };
        assert_decodes(&Translator, &message, &order);
        message.payload().to_vec()
    }
}

fn as_map(order: &Order) -> Message {
    Message::new(rmp_serde::to_vec_named(order).unwrap_or_default())
}

fn as_array(order: &Order) -> Message {
    Message::new(rmp_serde::to_vec(order).unwrap_or_default())
}
