use ::base64::{Engine, engine::general_purpose::STANDARD};
use loafer_core::{
    message::Message,
    translate::{Bytes, Cloudevents, Text},
};
use proptest::{collection::vec, prelude::*};
use serde_json::json;

use crate::values::{Order, SECRET, decoded, order, quiet, wrong};

fn structured(members: &serde_json::Value) -> Message {
    let mut event = json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "t"});
    for (name, value) in members.as_object().unwrap() {
        event[name] = value.clone();
    }
    Message::new(event.to_string())
}

fn binary(payload: impl Into<Bytes>) -> Message {
    let attributes = [
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "/s"),
        ("ce-type", "t"),
    ];
    attributes
        .into_iter()
        .fold(Message::new(payload), |message, (name, value)| {
            message.with_header(name, value)
        })
}

proptest! {
    #[test]
    fn what_was_put_in_comes_out(payload in vec(any::<u8>(), 0..200)) {
        let envelope = Cloudevents::of(Bytes::new());
        for event in [structured(&json!({"data_base64": STANDARD.encode(&payload)})), binary(payload.clone())] {
            prop_assert_eq!(&decoded::<_, Vec<u8>>(&envelope, &event).unwrap(), &payload);
        }
    }

    #[test]
    fn text_comes_out_as_it_was(text: String) {
        let event = structured(&json!({"datacontenttype": "text/plain", "data": text}));
        prop_assert_eq!(decoded::<_, String>(&Cloudevents::of(Text), &event).unwrap(), text);
    }

    #[test]
    fn what_was_encoded_is_decoded(order in order()) {
        for event in [structured(&json!({"data": order})), binary(serde_json::to_vec(&order).unwrap())] {
            prop_assert_eq!(&decoded::<_, Order>(&Cloudevents::new(), &event).unwrap(), &order);
        }
    }

    #[test]
    fn attributes_are_headers(source in "\\PC{1,20}", name in "x[a-z0-9]{0,18}", value: String) {
        let event = structured(&json!({"source": source, &name: value}));
        let opened: Message = decoded(&Cloudevents::of(Bytes::new()), &event).unwrap();
        prop_assert_eq!(opened.headers().get("ce-source"), Some(&*source));
        prop_assert_eq!(opened.headers().get(&format!("ce-{name}")), Some(&*value));
    }

    #[test]
    fn any_bytes_and_headers_are_a_value_or_an_error(
        bytes in vec(any::<u8>(), 0..200),
        headers in vec(("(ce[-_]|cloudEvents:)?(id|source|type|specversion|content-type|time)", "1.0|application/cloudevents.{0,9}|\\PC{0,9}"), 0..6),
    ) {
        for payload in [bytes, br#"{"specversion":"1.0"}"#.to_vec()] {
            let raw = headers.iter().fold(Message::new(payload), |message, (name, value)| message.with_header(name.clone(), value));
            let _ = decoded::<_, Order>(&Cloudevents::new(), &raw);
        }
    }

    #[test]
    fn an_error_quotes_nothing(body in wrong(), place in 0_usize..7) {
        let name = ["data", "data_base64", "specversion", "id", "tenant"].get(place);
        let event = match (name, place) {
            (Some(&"id"), _) => structured(&json!({"id": [SECRET]})),
            (Some(&"specversion"), _) => structured(&json!({"specversion": SECRET})),
            (Some(&"tenant"), _) => structured(&json!({"tenant": {"a": SECRET}})),
            (Some(name), _) => structured(&json!({*name: body})),
            (None, 5) => structured(&json!({"data": body, "data_base64": SECRET})),
            (None, _) => Message::new(format!("{{{SECRET}")).with_header("content-type", "application/cloudevents+json"),
        };
        quiet(decoded::<_, Order>(&Cloudevents::new(), &event))?;
    }
}
