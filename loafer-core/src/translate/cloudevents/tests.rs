use std::time::{Duration, SystemTime};

use super::*;
use crate::translate::Text;

const EVENT: &str = r#"{
  "specversion": "1.0", "id": "A1", "source": "/orders", "type": "order.placed", "subject": null,
  "time": "2017-08-21T12:00:00Z", "datacontenttype": "application/json", "tenant": "acme", "retries": 3, "final": true,
  "traceparent": "00-1-2-01", "correlationid": "c1", "data": {"count": 3}
}"#;

fn open(raw: &Message) -> Result<Message, String> {
    Cloudevents::new()
        .open(raw)
        .map(Cow::into_owned)
        .map_err(|error| error.to_string())
}

fn structured(members: &str) -> Message {
    let required = r#""specversion":"1.0","id":"1","source":"/s","type":"t""#;
    Message::new(format!("{{{required}{members}}}"))
}

fn binary(names: [&'static str; 4]) -> Message {
    let [version, id, source, kind] = names;
    Message::new(&b"\x00\xff"[..])
        .with_header(version, "1.0")
        .with_header(id, "A1")
        .with_header(source, "/orders")
        .with_header(kind, "order.placed")
}

#[test]
fn a_structured_event_opens_to_its_data() {
    let raw = Message::with_id("of-the-broker", EVENT)
        .with_attempt(3)
        .with_header(
            "content-type",
            "application/cloudevents+json; charset=utf-8",
        )
        .with_header("of-sqs", "1");
    let message = open(&raw).unwrap();
    assert_eq!(&message.payload()[..], br#"{"count": 3}"#);
    assert!(
        raw.payload()
            .as_ptr_range()
            .contains(&message.payload().as_ptr())
    );
    assert_eq!(message.topic(), Some("order.placed"));
    assert_eq!(
        message.sent_at(),
        Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_503_316_800))
    );
    assert_eq!(
        (message.id().to_string().as_str(), message.attempt()),
        ("of-the-broker", 3)
    );
    assert_eq!(message.correlation_id(), Some("c1"));
    let header = |name| message.headers().get(name);
    for (name, value) in [
        ("of-sqs", "1"),
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-id", "A1"),
        ("ce-source", "/orders"),
        ("ce-type", "order.placed"),
        ("ce-tenant", "acme"),
        ("ce-retries", "3"),
        ("ce-final", "true"),
        ("traceparent", "00-1-2-01"),
    ] {
        assert_eq!(header(name), Some(value), "{name}");
    }
    assert_eq!(header("ce-subject"), None);
}

#[test]
fn a_structured_event_is_known_by_its_members_alone() {
    assert_eq!(
        open(&Message::new(EVENT)).unwrap().topic(),
        Some("order.placed")
    );
}

#[test]
fn a_binary_event_keeps_its_payload() {
    for names in [
        ["ce-specversion", "ce-id", "ce-source", "ce-type"],
        ["ce_specversion", "ce_id", "ce_source", "ce_type"],
        ["Ce-Specversion", "Ce-Id", "Ce-Source", "Ce-Type"],
        [
            "cloudEvents:specversion",
            "cloudEvents:id",
            "cloudEvents:source",
            "cloudEvents:type",
        ],
    ] {
        let raw = binary(names).with_header("content-type", "image/png");
        let message = open(&raw).unwrap();
        assert_eq!(message.payload(), raw.payload());
        assert_eq!(message.topic(), Some("order.placed"), "{names:?}");
        let header = |name| message.headers().get(name);
        assert_eq!(
            (header("ce-id"), header("ce-source"), header("content-type")),
            (Some("A1"), Some("/orders"), Some("image/png"))
        );
        assert_eq!(message.headers().len(), 5);
    }
}

#[test]
fn data_is_what_its_content_type_says() {
    for (members, payload) in [
        (r#","data":"a \"b\"""#, &br#""a \"b\"""#[..]),
        (
            r#","data":"x","datacontenttype":"application/vnd.x+json""#,
            br#""x""#,
        ),
        (
            r#","data":"plain","datacontenttype":"text/plain""#,
            b"plain",
        ),
        (
            r#","data":"<a\/>\n","datacontenttype":"text/xml;charset=utf-8""#,
            b"<a/>\n",
        ),
        (
            r#","data":[1, 2],"datacontenttype":"text/plain""#,
            b"[1, 2]",
        ),
        (
            r#","data_base64":"AP8=","datacontenttype":"image/png""#,
            b"\x00\xff",
        ),
        (r#","data_base64":"\/\/8=""#, b"\xff\xff"),
        (r#","data":null,"data_base64":"AA==""#, b"\x00"),
        (r#","data":1,"data_base64":null"#, b"1"),
        (r#","data":null"#, b"null"),
        ("", b""),
    ] {
        let message = open(&structured(members)).unwrap();
        assert_eq!(&message.payload()[..], payload, "{members}");
    }
}

#[test]
fn what_is_no_event_is_taken_as_it_is() {
    let deep = format!("{{\"specversion\":{}", "[".repeat(200_000));
    let bodies: [&[u8]; 8] = [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        br#"{"id":"1","source":"/s","type":"t","data":1}"#,
        br#"{"data":{"specversion":"1.0"}}"#,
        br#"[{"specversion":"1.0"},{}]"#,
        deep.as_bytes(),
    ];
    for body in bodies {
        let raw = Message::new(body.to_vec()).with_header("ce-id", "1");
        assert!(matches!(
            Cloudevents::new().open(&raw).unwrap(),
            Cow::Borrowed(_)
        ));
    }
}

#[test]
fn what_is_wrong_is_told_without_a_value() {
    let kind =
        |kind: &str, body: &'static str| Message::new(body).with_header("Content-Type", kind);
    for (raw, expected) in [
        (
            Message::new(r#"{"specversion":"secret","id":"1"}"#),
            "is not 1.0",
        ),
        (
            Message::new(r#"{"specversion":"1.0","source":"secret","id":""}"#),
            "has no `id`",
        ),
        (
            Message::new(r#"{"specversion":"1.0","source":"secret","id":"1"}"#),
            "has no `type`",
        ),
        (Message::new(r#"[{"specversion":"secret"}]"#), "a batch"),
        (kind("application/cloudevents-batch+json", "[]"), "a batch"),
        (
            kind("application/cloudevents+avro", "secret"),
            "another format than JSON",
        ),
        (
            kind("application/cloudevents+json", "{secret"),
            "no JSON object: line 1 column 2",
        ),
        (
            structured(r#","data":1,"data_base64":"secret""#),
            "both `data` and `data_base64`",
        ),
        (structured(r#","data_base64":"secret!""#), "is no base64"),
        (structured(r#","data_base64":{"secret":1}"#), "is no base64"),
        (
            structured(r#","tenant":"secret\ud800""#),
            "attribute of the CloudEvent is no valid text",
        ),
        (
            structured(r#","datacontenttype":"text/plain","data":"secret\ud800""#),
            "no valid text",
        ),
        (
            binary(["ce-specversion", "ce-id", "ce-source", "x"]),
            "has no `type`",
        ),
    ] {
        let error = open(&raw).unwrap_err();
        assert!(
            error.contains(expected) && !error.contains("secret"),
            "{error}"
        );
    }
}

#[test]
fn an_event_may_hold_text() {
    let event = structured(r#","datacontenttype":"text/plain","data":"hello""#);
    let translator = Cloudevents::of(Text);
    let message = translator.open(&event).unwrap();
    assert_eq!(
        Translator::<&str>::translate(&translator, &message).unwrap(),
        "hello"
    );
}

#[test]
fn extensions_that_are_objects_stay_json() {
    let event = structured(r#","trace":{"id":[1]},"tags":["a"],"none":null"#);
    let message = Cloudevents::new().open_inner(event).unwrap();
    assert_eq!(message.headers().get("ce-trace"), Some(r#"{"id":[1]}"#));
    assert_eq!(message.headers().get("ce-tags"), Some(r#"["a"]"#));
    assert_eq!(message.headers().get("ce-none"), None);
}

#[test]
fn a_time_that_is_none_does_no_harm() {
    for (time, known) in [
        ("2026-11-30T05:06:07Z", true),
        ("2026-11-30T05:06:07.123456789+02:00", true),
        ("1969-12-31T23:59:59Z", true),
        ("2026-11-30T05:06:07", false),
        ("1793000000000", false),
        ("99999-01-01T00:00:00Z", false),
        ("", false),
    ] {
        let event = structured(&format!(r#","time":"{time}""#));
        let message = Cloudevents::new().open_inner(event).unwrap();
        assert_eq!(message.sent_at().is_some(), known, "{time}");
        assert_eq!(message.headers().get("ce-time"), Some(time));
    }
}

#[test]
fn a_byte_order_mark_is_ignored() {
    let event = structured(r#","data":{"n":1}"#);
    let marked = Message::new(["\u{feff}".as_bytes(), event.payload()].concat());
    let message = Cloudevents::new().open_inner(marked).unwrap();
    assert_eq!(message.payload(), r#"{"n":1}"#);
}
