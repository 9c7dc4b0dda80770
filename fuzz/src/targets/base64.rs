//! Base64 around the others.

use ::base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};
use fastrand::Rng;
use loafer_core::{
    message::Message,
    translate::{Base64 as Envelope, Bytes, MessagePack},
};

use super::{Order, assert_holds, bytes};
use crate::{Seen, Target};

#[derive(Debug)]
pub(crate) struct Base64;

impl Target for Base64 {
    fn name(&self) -> &'static str {
        "base64"
    }

    fn decode(&self, input: &[u8], seen: &mut Seen) {
        let raw = Message::new(input.to_vec());
        seen.message::<_, Vec<u8>>(&Envelope::of(Bytes::new()), &raw);
        seen.message::<_, Order>(&Envelope::of(MessagePack), &raw);
        seen.message::<_, Order>(&Envelope::new(), &Message::new(STANDARD.encode(input)));
        for text in encodings(input) {
            assert_holds(&Envelope::of(Bytes::new()), &Message::new(text), input);
        }
    }

    fn round_trip(&self, random: &mut Rng) -> Vec<u8> {
        let bytes = bytes(random);
        for text in encodings(&bytes) {
            assert_holds(&Envelope::of(Bytes::new()), &Message::new(text), &bytes);
        }
        STANDARD.encode(bytes).into_bytes()
    }
}

fn encodings(bytes: &[u8]) -> [String; 5] {
    let lines: Vec<String> = bytes
        .chunks(57)
        .map(|line| STANDARD.encode(line) + "\r\n")
        .collect();
    [
        STANDARD.encode(bytes),
        STANDARD_NO_PAD.encode(bytes),
        URL_SAFE.encode(bytes),
        URL_SAFE_NO_PAD.encode(bytes),
        lines.concat(),
    ]
}
