//! Payloads packed as their header says.

use std::io::Read;

use ::base64::{Engine, engine::general_purpose::STANDARD};
use fastrand::Rng;
use flate2::{
    Compression,
    read::{DeflateEncoder, GzEncoder, ZlibEncoder},
};
use loafer_core::message::Message;
use loafer_runtime::__private::unpacked;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::bytes;
use crate::{Seen, Target, seen::assert_same};

#[derive(Debug)]
pub(crate) struct Packed;

/// The bound on what comes out.
const MOST: usize = 1 << 20;

impl Target for Packed {
    fn name(&self) -> &'static str {
        "packed"
    }

    fn words(&self) -> &'static [&'static str] {
        &[
            "gzip", "base64", "(", "x-gzip", "deflate", "zstd", "identity",
        ]
    }

    fn decode(&self, input: &[u8], seen: &mut Seen) {
        for encoding in [
            "gzip",
            "gzip,base64",
            "deflate",
            "base64(deflate)",
            "zstd",
            "base64",
        ] {
            open(input, encoding, seen);
        }
        if let Ok(encoding) = std::str::from_utf8(input) {
            open(b"\x1f\x8b\x08", encoding, seen);
        }
    }

    fn round_trip(&self, random: &mut Rng) -> Vec<u8> {
        let plain = bytes(random).repeat(random.usize(..40));
        let fast = Compression::fast();
        let (packed, encoding) = match random.u8(..4) {
            0 => (all(GzEncoder::new(&*plain, fast)), "gzip"),
            1 => (all(ZlibEncoder::new(&*plain, fast)), "deflate"),
            2 => (all(DeflateEncoder::new(&*plain, fast)), "deflate"),
            _ => (compress_to_vec(&*plain, CompressionLevel::Fastest), "zstd"),
        };
        assert_opens(packed.clone(), encoding, &plain);
        let encoding = format!("{encoding},base64");
        assert_opens(STANDARD.encode(&packed).into_bytes(), &encoding, &plain);
        packed
    }
}

fn all(mut from: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = from.read_to_end(&mut bytes);
    assert!(read.is_ok(), "a value can't be packed");
    bytes
}

fn open(payload: &[u8], encoding: &str, seen: &mut Seen) {
    let message = Message::new(payload.to_vec()).with_header("Content-Encoding", encoding);
    if let Some(Some(opened)) = seen.result(unpacked(&message, MOST)) {
        assert!(
            opened.payload().len() <= MOST,
            "more came out than the bound allows"
        );
        assert!(
            opened.headers().is_empty(),
            "what is unpacked says that it is packed"
        );
        seen.note(opened.payload().len().checked_ilog2());
    }
}

fn assert_opens(packed: Vec<u8>, encoding: &str, plain: &[u8]) {
    let message = Message::new(packed).with_header("content-encoding", encoding);
    match unpacked(&message, MOST) {
        Ok(opened) => {
            let opened = opened.as_ref().map(|message| &message.payload()[..]);
            assert_same(
                &opened,
                &Some(plain),
                "what was unpacked and what was packed",
            );
        }
        Err(error) => panic!("what was packed does not open: {error}"),
    }
}
