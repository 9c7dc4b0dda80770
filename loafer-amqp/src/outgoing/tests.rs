use proptest::prelude::*;

use loafer_core::message::EVENT_ID;

use super::*;
use crate::{
    message::{Arrival, received},
    names::headers::{ATTEMPT, PROBE},
};

fn common<'c>(event: Option<&'c str>, headers: &'c [(String, String)]) -> Common<'c> {
    Common {
        event,
        app_id: None,
        headers,
        frame_max: 128 * 1024,
    }
}

fn there_and_back(message: &Message) -> Message {
    let properties = properties(message, &common(None, &[])).unwrap();
    received(
        "key",
        Arrival::default(),
        &properties,
        message.payload().to_vec(),
    )
}

proptest! {
    #[test]
    fn headers_come_back_as_they_were_sent(
        // Not names that begin with `x-`, some of which only brokers write.
        headers in prop::collection::btree_map("[a-w][ -~]{0,40}", "\\PC{0,80}", 0..12),
        group in prop::option::of("\\PC{1,20}"),
    ) {
        let mut message = Message::new("{}");
        for (name, value) in &headers {
            message = message.with_header(name.clone(), value.clone());
        }
        if let Some(group) = &group {
            message = message.with_group(group.as_str());
        }
        let came = there_and_back(&message);
        prop_assert_eq!(came.id(), message.id());
        prop_assert_eq!(came.group(), group.as_deref());
        for (name, value) in &headers {
            prop_assert_eq!(came.headers().get(name), Some(value.as_str()), "{}", name);
        }
        // Content type and correlation id are always set.
        prop_assert_eq!(came.headers().len(), headers.len() + 2);
    }

    #[test]
    fn what_stands_for_properties_comes_back(
        texts in prop::collection::vec("[a-z/]{1,255}", 5),
        priority in any::<u8>(),
    ) {
        let names = [CONTENT_TYPE, CONTENT_ENCODING, REPLY_TO, APP_ID, KIND];
        let mut message = Message::new("{}").with_header(PRIORITY, priority.to_string());
        for (name, text) in names.into_iter().zip(&texts) {
            message = message.with_header(name, text.clone());
        }
        let came = there_and_back(&message);
        for (name, text) in names.into_iter().zip(&texts) {
            prop_assert_eq!(came.headers().get(name), Some(text.as_str()), "{}", name);
        }
        prop_assert_eq!(came.headers().get(PRIORITY), Some(&*priority.to_string()));
    }
}

#[test]
fn the_message_outranks_the_configuration_but_not_the_name_of_the_event() {
    let headers = [("tenant", "everybody"), ("region", "sa")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let message = Message::new("{}")
        .with_header("tenant", "acme")
        .with_header(CATEGORY, "order.placed");
    let properties = super::properties(&message, &common(Some("order.closed"), &headers)).unwrap();
    let came = received("order.closed", Arrival::default(), &properties, Vec::new());
    let header = |name| came.headers().get(name);
    assert_eq!(header("tenant"), Some("acme"));
    assert_eq!(header("region"), Some("sa"));
    assert_eq!(header(CATEGORY), Some("order.closed"));
}

#[test]
fn the_property_names_the_request_where_there_is_one() {
    let message = Message::new("{}").with_header(CORRELATION_ID, "talk");
    let named = |message: &Message| {
        let properties = super::properties(message, &common(None, &[])).unwrap();
        properties.correlation_id().clone().unwrap().to_string()
    };
    assert_eq!(named(&message), "talk");
    assert_eq!(there_and_back(&message).headers().get(REQUEST_ID), None);
    let reply = message.with_header(REQUEST_ID, "7");
    for sent in [reply.clone(), reply.with_header(REPLY_TO, "amq.gen-1")] {
        assert_eq!(named(&sent), "7");
        let came = there_and_back(&sent);
        assert_eq!(came.headers().get(REQUEST_ID), Some("7"));
        assert_eq!(came.correlation_id(), Some("talk"));
    }
}

#[test]
fn a_request_of_another_client_is_named_by_its_property() {
    let properties = BasicProperties::default()
        .with_reply_to("amq.gen-1".into())
        .with_correlation_id("7".into());
    let came = received("key", Arrival::default(), &properties, Vec::new());
    assert_eq!(came.headers().get(REQUEST_ID), Some("7"));
    assert_eq!(came.headers().get(REPLY_TO), Some("amq.gen-1"));
}

#[test]
fn an_empty_payload_is_an_event_where_it_is_no_json() {
    let empty = Message::new("");
    let event = common(Some("e"), &[]);
    assert!(properties(&empty, &event).is_err());
    assert!(properties(&empty, &common(None, &[])).is_ok());
    let protobuf = empty.with_header(CONTENT_TYPE, "application/protobuf");
    assert!(properties(&protobuf, &event).is_ok());
}

#[test]
fn headers_that_do_not_fit_a_frame_are_refused_with_their_size() {
    let sized = |bytes: usize| {
        let message = Message::new("{}").with_header("h", "x".repeat(bytes));
        published(&message.into(), &common(None, &[]))
    };
    assert!(sized(100 * 1024).is_ok());
    assert!(sized(128 * 1024).unwrap_err().contains("frame_max"));
}

#[test]
fn optional_headers_make_room_and_the_id_of_the_event_stays() {
    let event_id = "01890a5d-ac96-774b-bcce-b302099a8057";
    let mut outgoing = Outgoing::new(Message::new("{}"))
        .header("h", "x".repeat(100 * 1024))
        .header("first", "y".repeat(20 * 1024))
        .header("last", "z".repeat(20 * 1024))
        .header(EVENT_ID, event_id);
    let names = |outgoing: &Outgoing| {
        let properties = published(outgoing, &common(None, &[])).unwrap();
        assert!(frame(&properties) <= 128 * 1024);
        let headers = properties.headers().clone().unwrap();
        let id = headers.inner().get(EVENT_ID);
        assert_eq!(id, Some(&AMQPValue::LongString(event_id.into())));
        let names = headers.inner().keys().map(|name| name.to_string());
        names.collect::<Vec<String>>()
    };
    assert!(published(&outgoing, &common(None, &[])).is_err());
    outgoing.optional = vec!["first", "last"];
    assert_eq!(names(&outgoing), [EVENT_ID, "first", "h"]);
    let outgoing = outgoing.header("h", "x".repeat(120 * 1024));
    assert_eq!(names(&outgoing), [EVENT_ID, "h"]);
}

#[test]
fn a_copy_keeps_what_the_sender_said_and_nothing_that_the_broker_wrote() {
    let text = |text: &str| AMQPValue::LongString(text.into());
    let mut table = FieldTable::default();
    for (name, value) in [
        ("CC", text("billing")),
        ("x-tenant", text("acme")),
        ("x-first-death-queue", text("orders")),
        ("x-delivery-count", AMQPValue::LongLongInt(2)),
        ("x-acquired-count", AMQPValue::LongLongInt(2)),
        (TOPIC, text("forged")),
        (PROBE, AMQPValue::Boolean(true)),
    ] {
        table.insert(name.into(), value);
    }
    let original = BasicProperties::default()
        .with_headers(table)
        .with_user_id("ana".into())
        .with_expiration("1000".into());
    let copy = copied(&original, None, [(ATTEMPT, AMQPValue::LongLongInt(4))]);
    let headers = copy.headers().clone().unwrap();
    let names: Vec<&str> = headers.inner().keys().map(|name| name.as_str()).collect();
    assert_eq!(names, [ATTEMPT, "x-tenant"]);
    assert_eq!((copy.user_id(), copy.expiration()), (&None, &None));
}
