//! Properties and headers of messages on RabbitMQ, as its frames have them.

use amq_protocol::{
    frame::{AMQPContentHeader, AMQPFrame, WriteContext, gen_frame, parse_frame},
    protocol::basic::AMQPProperties,
    types::{AMQPValue, FieldTable},
};
use fastrand::Rng;
use loafer_amqp::__private::{delivered, readable};

use super::{bytes, text};
use crate::{Seen, Target, seen::assert_same};

#[derive(Debug)]
pub(crate) struct AmqpProperties;

/// The class `basic`, whose frames have the properties.
const BASIC: u16 = 60;

impl Target for AmqpProperties {
    fn name(&self) -> &'static str {
        "amqp_properties"
    }

    fn words(&self) -> &'static [&'static str] {
        &[
            "loafer-attempt",
            "loafer-first-failed-at",
            "loafer-not-before",
            "loafer-deliveries",
            "loafer-topic",
            "x-death",
            "x-delivery-count",
            "x-acquired-count",
            "event-id",
            "queue",
            "S",
            "l",
            "T",
            "A",
            "F",
        ]
    }

    fn decode(&self, input: &[u8], seen: &mut Seen) {
        let sent = readable(input);
        let mut rest = &sent[..];
        while let Ok((after, frame)) = parse_frame(rest) {
            seen.note(std::mem::discriminant(&frame));
            rest = after;
            if let AMQPFrame::Header(_, header) = frame {
                for ours in [false, true] {
                    let message = delivered(&header.properties, b"body".to_vec(), ours);
                    assert!(
                        message.deliveries() >= message.attempt(),
                        "fewer deliveries than attempts"
                    );
                    assert_same(
                        &&message.payload()[..],
                        &&b"body"[..],
                        "the body of a message and what was sent",
                    );
                    seen.note((message.headers().len().min(12), message.sent_at().is_some()));
                    seen.note((message.attempt().min(3), message.group().is_some()));
                }
            }
        }
    }

    fn round_trip(&self, random: &mut Rng) -> Vec<u8> {
        let mut headers = FieldTable::default();
        for _ in 0..random.usize(..5) {
            headers.insert(text(random).into(), value(random, 3));
        }
        let properties = AMQPProperties::default()
            .with_headers(headers)
            .with_message_id(text(random).into())
            .with_timestamp(random.u64(..));
        let header = AMQPContentHeader {
            class_id: BASIC,
            body_size: random.u64(..),
            properties: properties.clone(),
        };
        let frame = AMQPFrame::Header(random.u16(..), header);
        let context = WriteContext::from(Vec::new());
        let sent = match gen_frame(&frame)(context) {
            Ok(written) => written.into_inner().0,
            Err(error) => panic!("a frame can't be written: {error:?}"),
        };
        assert_same(
            &readable(&sent),
            &sent,
            "what is readable and what was sent",
        );
        match parse_frame(&sent[..]) {
            Ok((_, AMQPFrame::Header(_, read))) => {
                assert_same(&read.properties, &properties, "properties read and sent");
            }
            other => panic!("a frame is not read: {other:?}"),
        }
        sent
    }
}

/// A value of any kind, at most so deep.
fn value(random: &mut Rng, deep: u8) -> AMQPValue {
    match random.u8(..if deep == 0 { 7 } else { 9 }) {
        0 => AMQPValue::Boolean(random.bool()),
        1 => AMQPValue::LongLongInt(random.i64(..)),
        2 => AMQPValue::LongString(bytes(random).into()),
        3 => AMQPValue::Timestamp(random.u64(..)),
        4 => AMQPValue::ByteArray(bytes(random).into()),
        5 => AMQPValue::ShortShortUInt(random.u8(..)),
        6 => AMQPValue::Void,
        7 => {
            let mut table = FieldTable::default();
            table.insert(text(random).into(), value(random, deep - 1));
            AMQPValue::FieldTable(table)
        }
        _ => AMQPValue::FieldArray(vec![value(random, deep - 1)].into()),
    }
}
