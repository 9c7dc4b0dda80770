//! The envelope of SNS.

use fastrand::Rng;
use loafer_core::{
    message::Message,
    translate::{Bytes, Sns as Envelope, Text},
};
use serde_json::json;

use super::{Order, assert_decodes, assert_holds, text};
use crate::{Seen, Target};

#[derive(Debug)]
pub(crate) struct Sns;

impl Target for Sns {
    fn name(&self) -> &'static str {
        "sns"
    }

    fn words(&self) -> &'static [&'static str] {
        &[
            "Type",
            "Notification",
            "SubscriptionConfirmation",
            "TopicArn",
            "MessageId",
            "Message",
            "Subject",
            "Timestamp",
            "MessageAttributes",
            "Value",
            "String",
            "Binary",
            "arn:aws:sns:local:000000000000:friend-created",
            "2017-08-21T12:00:00.000Z",
        ]
    }

    fn decode(&self, input: &[u8], seen: &mut Seen) {
        let raw = Message::new(input.to_vec());
        seen.message::<_, Order>(&Envelope::new(), &raw);
        seen.message::<_, String>(&Envelope::of(Envelope::of(Text)), &raw);
        if let Ok(text) = std::str::from_utf8(input) {
            assert_holds(&Envelope::of(Bytes::new()), &around(text), input);
        }
    }

    fn round_trip(&self, random: &mut Rng) -> Vec<u8> {
        let order = Order::random(random);
        let mut message = around(&serde_json::to_string(&order).unwrap_or_default());
        assert_decodes(&Envelope::new(), &message, &order);
        if random.u8(..4) == 0 {
            message = around(&text(random));
        }
        message.payload().to_vec()
    }
}

pub(super) fn around(text: &str) -> Message {
    let envelope = json!({
        "Type": "Notification", "MessageId": "1", "TopicArn": "arn:aws:sns:local:1:orders", "Message": text, "Timestamp": "2017-08-21T12:00:00.000Z",
        "MessageAttributes": {"tenant": {"Type": "String", "Value": "acme"}}
    });
    Message::new(envelope.to_string())
}
