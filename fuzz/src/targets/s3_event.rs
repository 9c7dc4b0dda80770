//! S3's notifications, by all their ways.

use fastrand::Rng;
use loafer_core::{
    message::Message,
    translate::{
        Envelope as _, S3Event as Translator, S3Notification, TranslateError, Translator as _,
    },
};
use serde_json::json;

use super::{assert_decodes, eventbridge, sns, text};
use crate::{Seen, Target};

#[derive(Debug)]
pub(crate) struct S3Event;

impl Target for S3Event {
    fn name(&self) -> &'static str {
        "s3_event"
    }

    fn words(&self) -> &'static [&'static str] {
        eventbridge::WORDS
    }

    fn decode(&self, input: &[u8], seen: &mut Seen) {
        let raw = Message::new(input.to_vec());
        if let Some(notification) = seen.message::<_, S3Notification>(&Translator, &raw) {
            seen.note(notification.records.len());
            assert_decodes(&Translator, &encoded(&notification), &notification);
        }
    }

    fn round_trip(&self, random: &mut Rng) -> Vec<u8> {
        let key = text(random);
        let object = json!({"key": &key, "size": random.u32(..), "etag": text(random), "version-id": null, "sequencer": "0055AED6DCD90281E5"});
        let detail =
            json!({"bucket": {"name": text(random)}, "object": object, "reason": "PutObject"});
        let event = eventbridge::around("Object Created", &detail.to_string());
        let opened: Result<S3Notification, TranslateError> = Translator
            .open(&event)
            .and_then(|opened| Translator.translate(&opened));
        let notification = match opened {
            Ok(notification) => notification,
            Err(error) => panic!("an event of EventBridge does not decode: {error}"),
        };
        assert_eq!(notification.records[0].object.key, key);
        let message = encoded(&notification);
        assert_decodes(&Translator, &message, &notification);
        match random.u8(..3) {
            0 => event.payload().to_vec(),
            1 => message.payload().to_vec(),
            _ => sns::around(&String::from_utf8_lossy(message.payload()))
                .payload()
                .to_vec(),
        }
    }
}

fn encoded(notification: &S3Notification) -> Message {
    Message::new(serde_json::to_vec(notification).unwrap_or_default())
}
