use std::io::Write;

use flate2::{
    Compression,
    write::{DeflateEncoder, GzEncoder, ZlibEncoder},
};
use loafer_core::{
    extract::Resources,
    translate::{Cloudevents, Envelope, Json, Sns, Translator},
};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde_json::{Value, json};

use super::*;
use crate::handler::Prepared;

/// `{"n":1}`, packed by GNU gzip.
const GZIP: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\xca\x53\xb2\x32\xac\x05\x00\x7e\x3b\x4b\xd4\x07\x00\x00\x00";
/// The same in base64, as senders do on SQS.
const BASE64: &str = "H4sIAAAAAAACA6tWylOyMqwFAH47S9QHAAAA";
const PLAIN: &[u8] = br#"{"n":1}"#;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn raw_deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

fn said(payload: impl Into<Bytes>, encoding: &str) -> Message {
    Message::new(payload).with_header("Content-Encoding", encoding)
}

fn open(payload: impl Into<Bytes>, encoding: &str, most: usize) -> Result<Option<Bytes>, String> {
    match unpacked(&said(payload, encoding), most) {
        Ok(found) => Ok(found.map(|message| {
            assert!(message.headers().is_empty(), "{encoding}");
            message.payload().clone()
        })),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn what_senders_write_is_opened() {
    let base64 = |bytes: &[u8]| base64::Engine::encode(&base64::prelude::BASE64_STANDARD, bytes);
    for (payload, encodings) in [
        (
            GZIP.to_vec(),
            &["gzip", "GZIP", "x-gzip", "identity, gzip", "gzip,base64"][..],
        ),
        (
            BASE64.into(),
            &[
                "gzip,base64",
                "gzip, base64",
                "base64(gzip)",
                "base64,gzip",
                "gzip",
            ],
        ),
        ([GZIP, &gzip(b"")].concat(), &["gzip"]),
        (zlib(PLAIN), &["deflate"]),
        (raw_deflate(PLAIN), &["deflate"]),
        (base64(&zlib(PLAIN)).into(), &["deflate", "deflate,base64"]),
        (base64(&raw_deflate(PLAIN)).into(), &["deflate,base64"]),
        (zstd(PLAIN), &["zstd", "ZStd"]),
        ([zstd(b"{\"n\""), zstd(b":1}")].concat(), &["zstd"]),
        (base64(&zstd(PLAIN)).into(), &["zstd", "base64(zstd)"]),
        (base64(PLAIN).into(), &["base64"]),
    ] {
        for encoding in encodings {
            let opened = open(payload.clone(), encoding, 7).unwrap();
            assert_eq!(opened.as_deref(), Some(PLAIN), "{encoding}");
        }
    }
}

#[test]
fn base64_that_begins_as_zlib_does_is_base64() {
    let plain = b"Hat";
    let text = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, raw_deflate(plain));
    assert!(text.starts_with("80"), "{text}");
    let opened = open(text, "deflate,base64", 100).unwrap();
    assert_eq!(opened.as_deref(), Some(&plain[..]));
}

#[test]
fn what_is_not_in_its_encoding_stays() {
    for (payload, encoding) in [
        (PLAIN, "gzip"),
        (PLAIN, "gzip,base64"),
        (PLAIN, "deflate"),
        (PLAIN, "zstd"),
        (PLAIN, "base64"),
        (GZIP, "br"),
        (GZIP, "utf-8"),
        (GZIP, "gzip,gzip"),
        (b"", "gzip"),
        (b"", "base64"),
    ] {
        assert_eq!(open(payload, encoding, 100).unwrap(), None, "{encoding}");
    }
    assert!(unpacked(&Message::new(GZIP), 100).unwrap().is_none());
}

#[test]
fn what_is_cut_or_damaged_is_told() {
    let body: Vec<u8> = (0..2_000_u32).flat_map(u32::to_le_bytes).collect();
    for (packed, encoding) in [
        (gzip(&body), "gzip"),
        (zlib(&body), "deflate"),
        (zstd(&body), "zstd"),
    ] {
        for end in (8..packed.len()).step_by(97).chain([packed.len() - 1]) {
            let error = open(packed[..end].to_vec(), encoding, 1 << 20).unwrap_err();
            let damaged = "the payload is damaged, or its end is missing";
            assert_eq!(error, format!("content-encoding is {encoding}: {damaged}"));
        }
    }
    let mut wrong = gzip(&body);
    let middle = wrong.len() / 2;
    wrong[middle] ^= 0x55;
    assert!(open(wrong, "gzip", 1 << 20).is_err());
}

/// A frame of zstd that repeats one byte: 128 KiB for each four bytes.
fn zstd_bomb(blocks: u32) -> Vec<u8> {
    // No content size, no checksum, a window of 8 MiB.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 13 << 3];
    for block in 1..=blocks {
        let header = (128 << 10 << 3) | 0b010 | u32::from(block == blocks);
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.push(b' ');
    }
    frame
}

#[test]
fn a_bomb_costs_no_more_than_the_bound() {
    let zeros = vec![0; 2 << 20];
    let most = 1 << 20;
    // 10 MB that would be 10 GB.
    let gzip = gzip(&zeros).repeat(5_000);
    for (bomb, encoding) in [
        (gzip, "gzip"),
        (zlib(&zeros), "deflate"),
        (raw_deflate(&zeros), "deflate"),
        (zstd_bomb(80_000), "zstd"),
    ] {
        let error = open(bomb, encoding, most).unwrap_err();
        assert_eq!(
            error,
            format!(
                "content-encoding is {encoding}: the payload has more than 1048576 bytes once it is unpacked, which `max_unpacked_bytes` does not allow"
            )
        );
    }
    let exact = open(zstd_bomb(8), "zstd", most).unwrap().unwrap();
    assert_eq!(exact.len(), most);
    // A window that no decoder has to allow.
    let mut window = zstd_bomb(1);
    window[5] = 20 << 3;
    assert!(open(window, "zstd", most).is_err());
}

fn decoded<T>(translator: T, raw: &Message) -> Result<Value, String>
where
    T: Envelope + for<'m> Translator<'m, Value>,
{
    let prepared = Prepared::new(&Resources::new(), translator, ());
    let opened = prepared.open(raw).map_err(|error| error.to_string())?;
    let decoded = prepared.translator.translate(&opened);
    decoded.map_err(|error| explained(error, &opened).to_string())
}

#[test]
fn packed_envelopes_and_what_is_packed_in_one_are_opened() {
    let notification = json!({
        "Type": "Notification", "MessageId": "1", "TopicArn": "arn:aws:sns:local:1:orders", "Message": BASE64,
        "MessageAttributes": {"Content-Encoding": {"Type": "String", "Value": "gzip,base64"}}
    });
    let notification = notification.to_string();
    let event = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"n":1}}"#;
    let cloud = json!({
        "Type": "Notification", "MessageId": "1", "TopicArn": "arn:aws:sns:local:1:orders",
        "Message": base64::Engine::encode(&base64::prelude::BASE64_STANDARD, gzip(event.as_bytes())),
        "MessageAttributes": {"content-encoding": {"Type": "String", "Value": "gzip"}}
    });
    let one = json!({"n": 1});
    let packed = said(gzip(notification.as_bytes()), "gzip");
    assert_eq!(
        decoded(Sns::new(), &Message::new(notification)),
        Ok(one.clone())
    );
    assert_eq!(decoded(Json, &said(GZIP, "gzip")), Ok(one.clone()));
    assert_eq!(
        decoded(Cloudevents::new(), &said(gzip(event.as_bytes()), "gzip")),
        Ok(one.clone())
    );
    let nested = Sns::of(Cloudevents::new());
    assert_eq!(decoded(nested, &Message::new(cloud.to_string())), Ok(one));
    // What is in the packed envelope has a header of its own.
    assert_eq!(decoded(Sns::new(), &packed), Ok(json!({"n": 1})));
}

#[test]
fn an_encoding_that_was_not_opened_is_in_the_error() {
    let of =
        |payload: &'static [u8], encoding| decoded(Json, &said(payload, encoding)).unwrap_err();
    let why = "the payload is no JSON: line 1 column 1";
    assert_eq!(
        of(b"secret", "br"),
        format!("content-encoding is none of gzip, deflate, zstd and base64: {why}")
    );
    assert_eq!(
        of(b"secret!", "gzip"),
        format!("content-encoding is gzip, and the payload is not: {why}")
    );
    assert_eq!(decoded(Json, &Message::new("secret")).unwrap_err(), why);
}
