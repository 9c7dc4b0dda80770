//! The structured mode: attributes and data in one JSON object.

use std::collections::BTreeMap;

use memchr::memmem;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use super::{batch, content_type, media_type};
use crate::{
    message::Message,
    translate::{
        Bytes, TranslateError, base64,
        json::{text_of, without_mark},
    },
};

/// The members of the object, still as JSON. Each is read when it is known what it has to be.
type Members<'m> = BTreeMap<String, &'m RawValue>;

/// Opens a message whose content type says that it is an event.
pub(super) fn open(raw: &Message) -> Result<Message, TranslateError> {
    let members: Members<'_> =
        serde_json::from_slice(without_mark(raw.payload())).map_err(|error| {
            TranslateError::new(format!(
                "the CloudEvent is no JSON object: line {} column {}",
                error.line(),
                error.column()
            ))
        })?;
    opened(raw, members)
}

/// Opens a message whose payload has the members of an event. `None` means that it is not an event. A payload that can't be one is not parsed.
pub(super) fn recognise(raw: &Message) -> Result<Option<Message>, TranslateError> {
    let payload = without_mark(raw.payload());
    let first = payload.trim_ascii_start().first();
    if !matches!(first, Some(b'{' | b'[')) || memmem::find(payload, b"\"specversion\"").is_none() {
        return Ok(None);
    }
    if first == Some(&b'[') {
        return match is_batch(payload) {
            true => Err(batch()),
            false => Ok(None),
        };
    }
    match serde_json::from_slice::<Members<'_>>(payload) {
        Ok(members) if members.contains_key("specversion") => opened(raw, members).map(Some),
        _ => Ok(None),
    }
}

fn is_batch(payload: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Event {
        #[serde(rename = "specversion")]
        _version: IgnoredAny,
    }
    serde_json::from_slice::<Vec<Event>>(payload).is_ok_and(|events| !events.is_empty())
}

fn opened(raw: &Message, mut members: Members<'_>) -> Result<Message, TranslateError> {
    let present = |value: &&RawValue| value.get() != "null";
    let data = members.remove("data");
    let data_base64 = members.remove("data_base64").filter(present);
    let mut headers = raw.headers().clone();
    // It is the content type of the envelope, not of the data.
    if let Some((name, _)) = content_type(raw.headers()) {
        headers.remove(name);
    }
    let mut is_json = true;
    for (name, value) in members {
        let Some(value) = attribute(value)? else {
            continue;
        };
        if name == "datacontenttype" {
            is_json = says_json(&value);
            headers.insert("content-type", value.clone());
        }
        headers.insert(format!("ce-{name}"), value);
    }
    let payload = match (data, data_base64) {
        (Some(data), Some(_)) if present(&data) => {
            return Err(TranslateError::new(
                "the CloudEvent has both `data` and `data_base64`",
            ));
        }
        (_, Some(encoded)) => text_of(raw.payload(), encoded)
            .and_then(|text| base64::decode(&text).ok())
            .map(Bytes::from)
            .ok_or_else(|| TranslateError::new("the CloudEvent's `data_base64` is no base64"))?,
        (Some(data), None) if is_json || !data.get().starts_with('"') => {
            raw.payload().slice_ref(data.get().as_bytes())
        }
        (Some(data), None) => text_of(raw.payload(), data)
            .ok_or_else(|| TranslateError::new("the CloudEvent's `data` is no valid text"))?,
        (None, None) => Bytes::new(),
    };
    Ok(raw.clone().with_headers(headers).with_payload(payload))
}

/// Returns the value of an attribute as a header has it. `None` stands for `null`. Objects and arrays, which CloudEvents does not know as values, stay
/// JSON: some SDKs write extensions so.
fn attribute(value: &RawValue) -> Result<Option<String>, TranslateError> {
    let json = value.get();
    match json.as_bytes().first() {
        Some(b'"') => serde_json::from_str(json)
            .map(Some)
            .map_err(|_| TranslateError::new("an attribute of the CloudEvent is no valid text")),
        Some(b'n') => Ok(None),
        _ => Ok(Some(json.to_owned())),
    }
}

fn says_json(content_type: &str) -> bool {
    let kind = media_type(content_type);
    kind.ends_with("/json") || kind.ends_with("+json")
}
