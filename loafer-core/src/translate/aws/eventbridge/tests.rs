use std::time::{Duration, SystemTime};

use crate::translate::{Bytes, Text};

use super::super::Sns;
use super::*;

const EVENT: &str = r#"{
  "version": "0",
  "id": "17793124-05d4-b198-2fde-7ededc63b103",
  "detail-type": "Order placed",
  "source": "shop.orders",
  "account": "111122223333",
  "time": "2021-11-12T00:00:00Z",
  "region": "ca-central-1",
  "resources": [ "arn:aws:shop:::1" ],
  "detail": { "count": 3 }
}"#;

fn open(body: impl Into<Bytes>) -> Result<Message, String> {
    EventBridge::new()
        .open_inner(Message::new(body))
        .map_err(|error| error.to_string())
}

#[test]
fn an_event_opens_to_its_detail() {
    let raw = Message::with_id("of-sqs", EVENT).with_header("of-sqs", "1");
    let message = EventBridge::new().open(&raw).unwrap();
    assert_eq!(message.payload(), r#"{ "count": 3 }"#);
    assert!(
        raw.payload()
            .as_ptr_range()
            .contains(&message.payload().as_ptr())
    );
    assert_eq!(message.id().to_string(), "of-sqs");
    assert_eq!(message.topic(), Some("Order placed"));
    assert_eq!(
        message.sent_at(),
        Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_636_675_200))
    );
    for (name, value) in [
        ("of-sqs", "1"),
        ("eventbridge-id", "17793124-05d4-b198-2fde-7ededc63b103"),
        ("eventbridge-detail-type", "Order placed"),
        ("eventbridge-source", "shop.orders"),
        ("eventbridge-account", "111122223333"),
        ("eventbridge-region", "ca-central-1"),
        ("eventbridge-resources", r#"[ "arn:aws:shop:::1" ]"#),
    ] {
        assert_eq!(message.headers().get(name), Some(value), "{name}");
    }
    assert_eq!(message.headers().len(), 7);
}

#[test]
fn what_is_no_event_is_taken_as_it_is() {
    let deep = format!("{{\"detail-type\":\"x\",\"source\":{}", "[".repeat(200_000));
    let bodies: [&[u8]; 8] = [
        b"",
        b"[]",
        b"plain text",
        b"\xff",
        br#"{"detail-type":"only"}"#,
        br#"{"source":"only","detail":{"detail-type":"x"}}"#,
        br#"{"detail-type":1,"source":"x","detail":{}}"#,
        deep.as_bytes(),
    ];
    for body in bodies {
        let raw = Message::new(body.to_vec());
        let opened = EventBridge::new().open(&raw).unwrap();
        assert!(matches!(opened, Cow::Borrowed(_)));
    }
}

#[test]
fn an_event_without_detail_says_so() {
    assert_eq!(
        open(r#"{"detail-type":"secret","source":"x"}"#).unwrap_err(),
        "the EventBridge event has no `detail`"
    );
}

#[test]
fn a_detail_may_be_null() {
    let message = open(r#"{"detail-type":"t","source":"s","detail":null}"#).unwrap();
    assert_eq!(message.payload(), "null");
}

#[test]
fn no_resources_are_no_header() {
    let message =
        open(r#"{"detail-type":"t","source":"s","detail":{},"resources":[],"time":"now"}"#)
            .unwrap();
    assert_eq!(message.headers().get("eventbridge-resources"), None);
    assert_eq!(message.sent_at(), None);
}

#[test]
fn an_event_that_came_by_sns_opens_too() {
    let envelope = serde_json::json!({"Type": "Notification", "MessageId": "1", "Message": EVENT});
    let message = Sns::of(EventBridge::of(Text))
        .open_inner(Message::new(envelope.to_string()))
        .unwrap();
    assert_eq!(message.payload(), r#"{ "count": 3 }"#);
    assert_eq!(message.headers().get("sns-message-id"), Some("1"));
    assert_eq!(message.topic(), Some("Order placed"));
}
