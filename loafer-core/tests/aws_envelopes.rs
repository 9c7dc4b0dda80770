//! What holds of AWS's envelopes and events, for any payload and any bytes.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

use std::time::SystemTime;

use loafer_core::translate::{EventBridge, S3Event, S3Notification, Sns};
use loafer_core::{
    message::Message,
    translate::{Bytes, Envelope, TranslateError, Translator},
};
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// In every wrong body, in no error. It is no name: keys that look like a field's are told.
const SECRET: &str = "s3cr3t m@rker";

fn decoded<E, X>(translator: &E, body: impl Into<Bytes>) -> Result<X, TranslateError>
where
    E: Envelope + for<'m> Translator<'m, X>,
{
    let raw = Message::new(body);
    translator.translate(&*translator.open(&raw)?)
}

fn quiet<X>(result: Result<X, TranslateError>) -> Result<(), TestCaseError> {
    let Err(error) = result else {
        return Err(TestCaseError::fail("a wrong body was decoded"));
    };
    for text in [error.to_string(), format!("{error:?}")] {
        prop_assert!(!text.contains(SECRET), "{}", text);
    }
    Ok(())
}

/// JSON of some depth, without floats: not every one survives the way.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((".{0,8}", inner), 0..4).prop_map(|pairs| pairs.into_iter().collect()),
        ]
    })
}

/// A notification in S3's own form; whole milliseconds are what S3 tells.
fn notification() -> impl Strategy<Value = Value> {
    let object = (
        ".{0,20}",
        any::<Option<u64>>(),
        any::<Option<bool>>(),
        0_u64..4_000_000_000_000,
    );
    let record = object.prop_map(|(key, size, version, millis)| {
        let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(millis);
        let at = OffsetDateTime::from(at).format(&Rfc3339).unwrap();
        let key: String = key
            .bytes()
            .map(|byte| match byte {
                b' ' => "+".to_owned(),
                byte => format!("%{byte:02X}"),
            })
            .collect();
        json!({
            "eventName": "ObjectCreated:Put", "awsRegion": "eu-central-1",
            "eventTime": at,
            "s3": {"bucket": {"name": "photos"}, "object": {"key": key, "size": size, "versionId": version.map(|_| "v1")}}
        })
    });
    vec(record, 0..3).prop_map(|records| json!({ "Records": records }))
}

fn by_sns(message: &str) -> String {
    json!({"Type": "Notification", "MessageId": "1", "TopicArn": "a:b", "Message": message})
        .to_string()
}

fn by_eventbridge(detail: &str) -> String {
    format!(r#"{{"detail-type":"Object Created","source":"aws.s3","detail":{detail}}}"#)
}

proptest! {
    #[test]
    fn sns_gives_what_was_published(text: String) {
        prop_assert_eq!(decoded::<_, Bytes>(&Sns::of(Bytes::new()), by_sns(&text)).unwrap(), text);
    }

    #[test]
    fn eventbridge_gives_what_was_put(value in any_json()) {
        let detail = value.to_string();
        for body in [by_eventbridge(&detail), by_sns(&by_eventbridge(&detail))] {
            let opened: Bytes = decoded(&Sns::of(EventBridge::of(Bytes::new())), body).unwrap();
            prop_assert_eq!(&opened, &detail);
        }
        prop_assert_eq!(decoded::<_, Value>(&EventBridge::new(), by_eventbridge(&detail)).unwrap(), value);
    }

    #[test]
    fn a_notification_is_the_same_once_written(body in notification()) {
        let read: S3Notification = decoded(&S3Event, body.to_string()).unwrap();
        let written = serde_json::to_string(&read).unwrap();
        for body in [by_sns(&written), written] {
            prop_assert_eq!(&decoded::<_, S3Notification>(&S3Event, body).unwrap(), &read);
        }
    }

    #[test]
    fn a_key_is_what_it_was(key in ".{0,30}") {
        let detail = json!({"bucket": {"name": "photos"}, "object": {"key": &key}}).to_string();
        let read: S3Notification = decoded(&S3Event, by_eventbridge(&detail)).unwrap();
        prop_assert_eq!(&read.records[0].object.key, &key);
        let written = serde_json::to_string(&read).unwrap();
        let again: S3Notification = decoded(&S3Event, written).unwrap();
        prop_assert_eq!(&again.records[0].object.key, &key);
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error(bytes in vec(any::<u8>(), 0..200), json in any_json()) {
        for body in [bytes, json.to_string().into_bytes(), by_eventbridge(&json.to_string()).into_bytes()] {
            let _ = decoded::<_, Value>(&Sns::new(), body.clone());
            let _ = decoded::<_, Value>(&EventBridge::new(), body.clone());
            let _ = decoded::<_, S3Notification>(&S3Event, body);
        }
    }

    #[test]
    fn an_error_quotes_nothing(place in 0_usize..5, by in 0_usize..3) {
        let record = |place: &str| {
            let mut body = json!({"Records": [{"eventName": "n", "s3": {"bucket": {"name": "b"}, "object": {"key": "k"}}}]});
            *body.pointer_mut(place).unwrap() = json!({ SECRET: SECRET });
            body
        };
        let body = match place {
            0 => json!({ SECRET: SECRET }),
            1 => json!({"Event": SECRET}),
            2 => record("/Records/0/s3/object/key"),
            3 => record("/Records/0/eventName"),
            _ => json!({"Records": [{"eventName": "n", "s3": {"bucket": {"name": "b"}, "object": {"key": format!("{SECRET}%FF")}}}]}),
        };
        let body = match by {
            0 => body.to_string(),
            1 => by_sns(&body.to_string()),
            _ => format!(r#"{{"Type":"Notification","MessageId":"1","Message":{body}}}"#),
        };
        quiet(decoded::<_, S3Notification>(&S3Event, body))?;
        quiet(decoded::<_, Value>(&EventBridge::new(), format!(r#"{{"detail-type":"{SECRET}","source":"s"}}"#)))?;
    }
}
