//! The envelope of EventBridge.

use fastrand::Rng;
use loafer_core::{
    message::Message,
    translate::{Bytes, EventBridge as Envelope, Sns},
};
use serde_json::value::RawValue;

use super::{Order, assert_decodes, assert_holds};
use crate::{Seen, Target};

#[derive(Debug)]
pub(crate) struct EventBridge;

/// Also of S3's events, which travel so.
pub(super) const WORDS: &[&str] = &[
    "version",
    "id",
    "detail-type",
    "source",
    "account",
    "time",
    "region",
    "resources",
    "detail",
    "replay-name",
    "Object Created",
    "Object Deleted",
    "2021-11-12T00:00:00Z",
    "bucket",
    "object",
    "name",
    "key",
    "size",
    "etag",
    "eTag",
    "version-id",
    "sequencer",
    "reason",
    "deletion-type",
    "PutObject",
    "Records",
    "eventName",
    "eventTime",
    "awsRegion",
    "s3",
    "Event",
    "s3:TestEvent",
    "%C3%A9",
    "%FF",
    "+",
];

impl Target for EventBridge {
    fn name(&self) -> &'static str {
        "eventbridge"
    }

    fn words(&self) -> &'static [&'static str] {
        WORDS
    }

    fn decode(&self, input: &[u8], seen: &mut Seen) {
        let raw = Message::new(input.to_vec());
        seen.message::<_, Order>(&Envelope::new(), &raw);
        seen.message::<_, Vec<u8>>(&Sns::of(Envelope::of(Bytes::new())), &raw);
        if let Ok(value) = serde_json::from_slice::<&RawValue>(input) {
            let value = value.get();
            assert_holds(
                &Envelope::of(Bytes::new()),
                &around("t", value),
                value.as_bytes(),
            );
        }
    }

    fn round_trip(&self, random: &mut Rng) -> Vec<u8> {
        let order = Order::random(random);
        let detail = serde_json::to_string(&order).unwrap_or_default();
        let message = around("Order placed", &detail);
        assert_decodes(&Envelope::new(), &message, &order);
        message.payload().to_vec()
    }
}

pub(super) fn around(detail_type: &str, detail: &str) -> Message {
    Message::new(format!(
        r#"{{"version": "0", "id": "1", "detail-type": "{detail_type}", "source": "shop", "account": "1", "time": "2021-11-12T00:00:00Z",
            "region": "ca-central-1", "resources": ["arn:aws:shop:::1"], "detail": {detail}}}"#
    ))
}
