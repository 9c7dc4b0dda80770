//! The structured mode: attributes and data in one JSON object.

use std::{borrow::Cow, collections::BTreeMap};

use memchr::memmem;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use super::{batch, content_type, media_type};
use crate::{
    message::Message,
    translate::{Bytes, TranslateError, base64},
};

/// The members of the object, still as JSON. Each is read when it is known what it has to be.
type Members<'m> = BTreeMap<String, &'m RawValue>;

/// Opens a message whose content type says that it is an event.
pub(super) fn open(raw: &Message) -> Result<Message, TranslateError> {
    let members: Members<'_> = serde_json::from_slice(raw.payload()).map_err(|error| {
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
    let payload = raw.payload();
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
        let Some(value) = scalar(value)? else {
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
        (_, Some(encoded)) => bytes(encoded)?,
        (Some(data), None) if is_json || !data.get().starts_with('"') => {
            raw.payload().slice_ref(data.get().as_bytes())
        }
        (Some(data), None) => match text(data, "the CloudEvent's `data` is no valid text")? {
            Cow::Borrowed(plain) => raw.payload().slice_ref(plain.as_bytes()),
            Cow::Owned(text) => Bytes::from(text),
        },
        (None, None) => Bytes::new(),
    };
    Ok(raw.clone().with_headers(headers).with_payload(payload))
}

/// Returns the value of an attribute as a header has it. `None` stands for `null`.
fn scalar(value: &RawValue) -> Result<Option<String>, TranslateError> {
    const WRONG: &str = "an attribute of the CloudEvent is neither text nor number nor boolean";
    let json = value.get();
    match json.as_bytes().first() {
        Some(b'"') => Ok(Some(text(value, WRONG)?.into_owned())),
        Some(b'n') => Ok(None),
        Some(b'{' | b'[') | None => Err(TranslateError::new(WRONG)),
        Some(_) => Ok(Some(json.to_owned())),
    }
}

fn bytes(encoded: &RawValue) -> Result<Bytes, TranslateError> {
    const WRONG: &str = "the CloudEvent's `data_base64` is no base64";
    let encoded = text(encoded, WRONG)?;
    base64::decode(encoded.as_bytes())
        .map(Bytes::from)
        .map_err(|_| TranslateError::new(WRONG))
}

/// Reads a JSON string. It is a slice of the body if nothing in it is escaped, otherwise a copy.
fn text<'m>(value: &'m RawValue, wrong: &'static str) -> Result<Cow<'m, str>, TranslateError> {
    let json = value.get();
    let plain = json
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .filter(|plain| !plain.contains('\\'));
    match plain {
        Some(plain) => Ok(Cow::Borrowed(plain)),
        None => serde_json::from_str(json)
            .map(Cow::Owned)
            .map_err(|_| TranslateError::new(wrong)),
    }
}

fn says_json(content_type: &str) -> bool {
    let kind = media_type(content_type);
    kind.ends_with("/json") || kind.ends_with("+json")
}
