//! Packing: the attributes of a dead letter with their types, in JSON. Only SQS has types of attributes.

use std::collections::BTreeMap;

use aws_sdk_sqs::{primitives::Blob, types::MessageAttributeValue};
use aws_smithy_types::base64;
use loafer_core::{Error, broker::PackedDeadLetter, message::Message};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Attributes;
use crate::names::KIND;

/// One attribute, as it is kept.
#[derive(Serialize, Deserialize)]
struct Packed {
    #[serde(rename = "type")]
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

pub(super) fn pack(message: &Message, attributes: &Attributes) -> PackedDeadLetter {
    let packed = |value: &MessageAttributeValue| Packed {
        kind: value.data_type().to_owned(),
        text: value.string_value().map(str::to_owned),
        base64: value.binary_value().map(base64::encode),
    };
    let attributes = attributes.iter().map(|(name, value)| (name, packed(value)));
    let attributes: BTreeMap<_, _> = attributes.collect();
    PackedDeadLetter::new(message).with_original(KIND, json!(attributes))
}

/// Returns the attributes that were packed.
pub(super) fn attributes(dead_letter: &PackedDeadLetter) -> Result<Attributes, Error> {
    let packed: BTreeMap<String, Packed> = dead_letter.original(KIND)?;
    let unreadable = |name: &str| {
        let id = dead_letter.message().id();
        Error::Config(format!(
            "attribute `{name}` of dead letter {id} can't be read"
        ))
    };
    let attributes = packed.into_iter().map(|(name, packed)| {
        let bytes = packed.base64.map(base64::decode).transpose();
        let bytes = bytes.map_err(|_| unreadable(&name))?;
        let attribute = MessageAttributeValue::builder()
            .data_type(packed.kind)
            .set_string_value(packed.text)
            .set_binary_value(bytes.map(Blob::new))
            .build();
        Ok((name.clone(), attribute.map_err(|_| unreadable(&name))?))
    });
    attributes.collect()
}
