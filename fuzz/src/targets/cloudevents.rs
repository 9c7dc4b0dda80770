//! CloudEvents.

use ::base64::{Engine, engine::general_purpose::STANDARD};
use fastrand::Rng;
use loafer_core::{
    message::Message,
    translate::{Bytes, Cloudevents as Envelope, Text},
};
use serde_json::{json, value::RawValue};

use super::{Order, assert_decodes, assert_holds, bytes, text};
use crate::{Seen, Target};

/// An input is a payload; or header lines, an empty line, and a payload.
#[derive(Debug)]
pub(crate) struct Cloudevents;

impl Target for Cloudevents {
    fn name(&self) -> &'static str {
        "cloudevents"
    }

    fn words(&self) -> &'static [&'static str] {
        &[
            "specversion",
            "1.0",
            "id",
            "source",
            "type",
            "subject",
            "time",
            "datacontenttype",
            "data",
            "data_base64",
            "traceparent",
            "application/json",
            "text/plain",
            "application/cloudevents+json",
            "application/cloudevents-batch+json",
            "ce-",
            "ce_specversion: 1.0\n",
            "cloudEvents:id: 1\n",
            "content-type: ",
            "\n\n",
            "2017-08-21T12:00:00.5+01:00",
            "0000-01-01T00:00:00Z",
            "9999-12-31T23:59:60Z",
        ]
    }

    fn decode(&self, input: &[u8], seen: &mut Seen) {
        let raw = message(input);
        seen.note(raw.headers().len());
        seen.message::<_, Order>(&Envelope::new(), &raw);
        seen.message::<_, String>(&Envelope::of(Text), &raw);
        seen.message::<_, Message>(&Envelope::of(Envelope::of(Bytes::new())), &raw);
        around(input);
    }

    fn round_trip(&self, random: &mut Rng) -> Vec<u8> {
        around(&bytes(random));
        let order = Order::random(random);
        let event = structured(
            &json!({"data": order, "subject": text(random), "time": "2026-01-02T03:04:05.678Z"}),
        );
        assert_decodes(&Envelope::new(), &event, &order);
        let data = serde_json::to_vec(&order).unwrap_or_default();
        around(&data);
        match random.bool() {
            true => event.payload().to_vec(),
            false => [
                b"ce-specversion: 1.0\nce-id: 1\nce-source: /s\nce-type: t\n\n",
                &data[..],
            ]
            .concat(),
        }
    }
}

/// Each way to put a payload in gives just it.
fn around(payload: &[u8]) {
    let envelope = Envelope::of(Bytes::new());
    let binary = ["ce-specversion", "ce-id", "ce-source", "ce-type"]
        .into_iter()
        .fold(Message::new(payload.to_vec()), |message, name| {
            message.with_header(name, "1.0")
        });
    assert_holds(&envelope, &binary, payload);
    assert_holds(
        &envelope,
        &structured(&json!({"data_base64": STANDARD.encode(payload)})),
        payload,
    );
    if let Ok(text) = std::str::from_utf8(payload) {
        let plain = structured(&json!({"data": text, "datacontenttype": "text/plain"}));
        assert_holds(&envelope, &plain, payload);
    }
    if let Ok(value) = serde_json::from_slice::<&RawValue>(payload) {
        let value = value.get();
        let event = format!(
            r#"{{"data": {value}, "id": "1", "source": "/s", "type": "t", "specversion": "1.0"}}"#
        );
        assert_holds(&envelope, &Message::new(event), value.as_bytes());
    }
}

fn structured(members: &serde_json::Value) -> Message {
    let mut event = json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "t"});
    for (name, value) in members.as_object().into_iter().flatten() {
        event[name] = value.clone();
    }
    Message::new(event.to_string())
}

fn message(input: &[u8]) -> Message {
    let behind = input.windows(2).position(|two| two == b"\n\n");
    let headers = behind.and_then(|end| std::str::from_utf8(&input[..end]).ok());
    let pairs: Option<Vec<_>> =
        headers.and_then(|lines| lines.lines().map(|line| line.split_once(": ")).collect());
    match (pairs, behind) {
        (Some(pairs), Some(end)) => pairs.into_iter().fold(
            Message::new(input[end + 2..].to_vec()),
            |message, (name, value)| message.with_header(name.to_owned(), value),
        ),
        _ => Message::new(input.to_vec()),
    }
}
