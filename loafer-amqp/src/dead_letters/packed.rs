//! Packing: the properties of a dead letter as they are on the wire. Only AMQP has tables and typed values among its headers.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lapin::{
    BasicProperties,
    protocol::basic::{gen_properties, parse_properties},
};
use loafer_core::{
    Error,
    broker::{Delivery, PackedDeadLetter},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::DeadLetterReceipt;
use crate::client::identity::KIND;

/// What a message can't carry, as it is kept.
#[derive(Serialize, Deserialize)]
struct Packed {
    /// The properties in base64, as AMQP 0-9-1 writes them: every type is kept, and no version of the client changes how they are written.
    properties: String,
    unnamed: bool,
}

/// What a copy is made of, beside the message.
pub(super) struct Original {
    pub(super) properties: BasicProperties,
    /// Whether it came without an id.
    pub(super) unnamed: bool,
}

pub(super) fn pack(dead_letter: &Delivery<DeadLetterReceipt>) -> PackedDeadLetter {
    let lease = &dead_letter.receipt.0;
    // What was received can be written.
    let written = gen_properties(&lease.properties)(Vec::new().into());
    let written = written.map(|written| written.into_inner().0);
    let packed = Packed {
        properties: STANDARD.encode(written.unwrap_or_default()),
        unnamed: lease.unnamed,
    };
    PackedDeadLetter::new(&dead_letter.message).with_original(KIND, json!(packed))
}

pub(super) fn original(dead_letter: &PackedDeadLetter) -> Result<Original, Error> {
    let packed: Packed = dead_letter.original(KIND)?;
    let unreadable = || {
        let id = dead_letter.message().id();
        Error::Config(format!("the properties of dead letter {id} can't be read"))
    };
    let written = STANDARD
        .decode(packed.properties)
        .map_err(|_| unreadable())?;
    let (_, properties) = parse_properties(&written[..]).map_err(|_| unreadable())?;
    Ok(Original {
        properties,
        unnamed: packed.unnamed,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lapin::types::{AMQPValue, ByteArray, FieldTable};
    use loafer_core::message::Message;

    use super::*;
    use crate::dead_letters::Lease;

    #[test]
    fn every_type_is_kept() {
        let mut inner = FieldTable::default();
        inner.insert("deep".into(), AMQPValue::Timestamp(7));
        let mut headers = FieldTable::default();
        for (name, value) in [
            ("number", AMQPValue::LongInt(7)),
            ("small", AMQPValue::ShortShortInt(-1)),
            ("double", AMQPValue::Double(0.1)),
            ("bytes", AMQPValue::ByteArray(ByteArray::from(vec![0, 255]))),
            ("no text", AMQPValue::LongString(vec![0xff].into())),
            ("table", AMQPValue::FieldTable(inner)),
            ("void", AMQPValue::Void),
        ] {
            headers.insert(name.into(), value);
        }
        let properties = BasicProperties::default()
            .with_headers(headers)
            .with_priority(3)
            .with_timestamp(1_500)
            .with_app_id("shop".into());
        let lease = Lease {
            epoch: 1,
            tag: 1,
            unnamed: true,
            properties: properties.clone(),
        };
        let packed = pack(&Delivery {
            receipt: DeadLetterReceipt(Arc::new(lease)),
            message: Message::new("{}"),
        });
        let written = serde_json::to_string(&packed).expect("JSON");
        let read = serde_json::from_str(&written).expect("what was written");
        let original = original(&read).expect("the original");
        assert_eq!((original.properties, original.unnamed), (properties, true));
    }
}
