//! Text and bytes.

use fastrand::Rng;
use loafer_core::{
    message::Message,
    translate::{Bytes as RawBytes, Text as RawText},
};

use super::{assert_decodes, bytes, text};
use crate::{Seen, Target, seen::assert_same};

#[derive(Debug)]
pub(crate) struct Text;

#[derive(Debug)]
pub(crate) struct Bytes;

impl Target for Text {
    fn name(&self) -> &'static str {
        "text"
    }

    fn decode(&self, input: &[u8], seen: &mut Seen) {
        let decoded: Option<String> = seen.message(&RawText, &Message::new(input.to_vec()));
        assert_same(
            &decoded,
            &String::from_utf8(input.to_vec()).ok(),
            "the text and what the standard library makes of it",
        );
    }

    fn round_trip(&self, random: &mut Rng) -> Vec<u8> {
        let text = text(random);
        assert_decodes(&RawText, &Message::new(text.clone()), &text);
        text.into_bytes()
    }
}

impl Target for Bytes {
    fn name(&self) -> &'static str {
        "bytes"
    }

    fn decode(&self, input: &[u8], seen: &mut Seen) {
        let decoded: Option<Vec<u8>> =
            seen.message(&RawBytes::new(), &Message::new(input.to_vec()));
        assert_same(&decoded.as_deref(), &Some(input), "the bytes and the input");
    }

    fn round_trip(&self, random: &mut Rng) -> Vec<u8> {
        let bytes = bytes(random);
        assert_decodes(&RawBytes::new(), &Message::new(bytes.clone()), &bytes);
        bytes
    }
}
