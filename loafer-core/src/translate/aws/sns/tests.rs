use std::time::{Duration, SystemTime};

use crate::translate::{Bytes, Text};

use super::*;

const ENVELOPE: &str = r#"{
  "Type": "Notification",
  "MessageId": "e2d086a8-7cbc-473b-b50e-2923976db4d4",
  "TopicArn": "arn:aws:sns:local:000000000000:friend-created",
  "Message": "{\"id\": \"test-1\", \"username\": \"georgeyk\", \"github_url\": \"\"}",
  "Timestamp": "2017-08-21T12:00:00.000Z",
  "SignatureVersion": "1",
  "Signature": "EXAMPLE",
  "SigningCertURL": "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0000.pem",
  "UnsubscribeURL": "https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe",
  "MessageAttributes": {
    "event_type": { "Type": "String", "Value": "friend-created" }
  }
}"#;

#[derive(Debug, Deserialize, PartialEq)]
struct Friend<'a> {
    id: &'a str,
    username: &'a str,
}

fn open(payload: impl Into<Bytes>) -> Result<Message, String> {
    let raw = Message::new(payload);
    Sns::<Json>::default()
        .open(&raw)
        .map(Cow::into_owned)
        .map_err(|error| error.to_string())
}

#[test]
fn an_envelope_opens_to_what_was_published() {
    let message = open(ENVELOPE).unwrap();
    let friend: Friend<'_> = Sns::<Json>::default().translate(&message).unwrap();
    assert_eq!(
        friend,
        Friend {
            id: "test-1",
            username: "georgeyk"
        }
    );
    assert_eq!(message.topic(), Some("friend-created"));
    assert_eq!(
        message.sent_at(),
        Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_503_316_800))
    );
    let header = |name| message.headers().get(name);
    assert_eq!(header("event_type"), Some("friend-created"));
    assert_eq!(
        header("sns-topic-arn"),
        Some("arn:aws:sns:local:000000000000:friend-created")
    );
    assert_eq!(
        header("sns-message-id"),
        Some("e2d086a8-7cbc-473b-b50e-2923976db4d4")
    );
    assert_eq!(header("sns-subject"), None);
}

#[test]
fn attempt_id_and_headers_of_the_queue_stay() {
    let raw = Message::with_id("sqs-id", ENVELOPE)
        .with_attempt(4)
        .with_header("of-sqs", "1")
        .with_header("event_type", "x");
    let message = Sns::<Json>::default().open(&raw).unwrap().into_owned();
    assert_eq!(
        (message.attempt(), message.id().to_string().as_str()),
        (4, "sqs-id")
    );
    assert_eq!(message.headers().get("of-sqs"), Some("1"));
    assert_eq!(message.headers().get("event_type"), Some("friend-created"));
    assert_eq!(raw.headers().get("event_type"), Some("x"));
}

#[test]
fn plain_text_is_a_part_of_the_body() {
    let raw = Message::new(r#"{"Type":"Notification","MessageId":"1","Message":"hello, wörld"}"#);
    let sns = Sns::<Text>::default();
    let message = sns.open(&raw).unwrap();
    let text: &str = sns.translate(&message).unwrap();
    assert_eq!(text, "hello, wörld");
    assert!(raw.payload().as_ptr_range().contains(&text.as_ptr()));
}

#[test]
fn escapes_are_undone() {
    let message =
        open(r#"{"Type":"Notification","MessageId":"1","Message":"a\n\"\u00e9\ud83d\ude00"}"#)
            .unwrap();
    assert_eq!(&message.payload()[..], "a\n\"é😀".as_bytes());
}

#[test]
fn an_empty_message_opens_to_nothing() {
    let message =
        open(r#"{"Type":"Notification","MessageId":"1","Message":"","Subject":null}"#).unwrap();
    assert!(message.payload().is_empty());
    assert_eq!(message.headers().get("sns-subject"), None);
}

#[test]
fn what_is_no_envelope_is_taken_as_it_is() {
    let deep = "[".repeat(200_000);
    let deep_object = format!("{{\"Type\":\"Notification\",\"MessageId\":{deep}");
    let bodies: [&[u8]; 13] = [
        b"",
        b"{}",
        b"[]",
        b"0",
        b"null",
        b"\"Notification\"",
        b"plain text",
        b"\xff\xfe{\"Type\":\"Notification\"}",
        b"{\"Type\":\"Notification\",\"MessageId\":\"\xff\",\"Message\":\"x\"}",
        br#"{"Type":"Notification","Message":"an event of our own"}"#,
        br#"{"kind":"Notification","TopicArn":"x"}"#,
        deep.as_bytes(),
        deep_object.as_bytes(),
    ];
    for body in bodies {
        let raw = Message::new(body.to_vec());
        let opened = Sns::<Json>::default().open(&raw).unwrap();
        assert!(
            matches!(opened, Cow::Borrowed(_)),
            "{}",
            String::from_utf8_lossy(&body[..body.len().min(60)])
        );
    }
}

#[test]
fn an_envelope_without_message_says_so_and_quotes_nothing() {
    let error = |message: &str| {
        open(format!(
            r#"{{"Type":"Notification","TopicArn":"arn:secret"{message}}}"#
        ))
        .unwrap_err()
    };
    assert_eq!(error(""), "the SNS envelope has no `Message`");
    assert_eq!(
        error(r#","Message":null"#),
        "the SNS envelope has no `Message`"
    );
    assert_eq!(
        error(r#","Message":{"secret":1}"#),
        "the `Message` of the SNS envelope is no valid text"
    );
    assert_eq!(
        error(r#","Message":"secret\ud800""#),
        "the `Message` of the SNS envelope is no valid text"
    );
    let attributes = error(r#","Message":"secret","MessageAttributes":["secret"]"#);
    assert!(attributes.contains("MessageAttributes") && !attributes.contains("secret"));
}

#[test]
fn an_envelope_in_an_envelope_opens_too() {
    let inner = r#"{"Type":"Notification","MessageId":"2","TopicArn":"a:inner","Message":"deep"}"#;
    let outer = serde_json::json!({"Type": "Notification", "MessageId": "1", "TopicArn": "a:outer", "Message": inner});
    let raw = Message::new(outer.to_string());
    let message = Sns::<Sns<Text>>::default().open(&raw).unwrap().into_owned();
    assert_eq!(
        (message.topic(), &message.payload()[..]),
        (Some("inner"), &b"deep"[..])
    );
}

#[test]
fn numbers_and_bytes_of_the_sender_are_values() {
    let envelope = r#"{"Type": "Notification", "MessageId": "1", "Message": "{}", "MessageAttributes": {
        "cents": {"Type": "Number", "Value": "250.00"}, "hash": {"Type": "Binary", "Value": "/wA="},
        "tenant": {"Type": "String", "Value": "7"}}}"#;
    let message = open(envelope).unwrap();
    let headers = message.headers();
    assert_eq!(headers.value("cents"), Some(&HeaderValue::Float(250.0)));
    assert_eq!(headers.get("cents"), Some("250.00"));
    assert_eq!(headers.value("hash"), Some(&vec![0xff, 0].into()));
    assert_eq!(headers.get("hash"), Some("/wA="));
    assert_eq!(headers.value("tenant"), None);
}
