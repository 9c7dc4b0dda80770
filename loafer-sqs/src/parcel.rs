//! A message of Loafer as SQS and SNS take it: body, attributes, size; and how many share a call.

use std::{borrow::Cow, ops::Range};

use loafer_core::{DeadLetter, Message, Outgoing};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::message::{TRACE, allowed, is_of_sqs};

/// How many attributes a message can have (SQS: message attributes; SNS drops the eleventh with raw delivery).
pub(crate) const ATTRIBUTES: usize = 10;
/// How many messages a call can carry (SQS and SNS API).
pub(crate) const ENTRIES: usize = 10;
/// How large a message, or all of a call together, can be on SQS (SQS quotas).
pub(crate) const SQS_BYTES: usize = 1024 * 1024;
/// The same on SNS (SNS API: `PublishBatch`).
pub(crate) const SNS_BYTES: usize = 256 * 1024;

/// What is sent, borrowed from the message until the call is made.
pub(crate) struct Parcel<'m> {
    pub(crate) body: &'m str,
    pub(crate) attributes: Vec<(&'m str, Cow<'m, str>)>,
    /// X-Ray's trace, which has a place of its own on SQS.
    pub(crate) trace: Option<&'m str>,
    pub(crate) group: Option<Cow<'m, str>>,
    pub(crate) deduplication_id: Option<Cow<'m, str>>,
    /// Seconds.
    pub(crate) delay: Option<i32>,
}

impl<'m> Parcel<'m> {
    /// A message to publish; to a FIFO queue or topic it goes with a group and a deduplication id.
    ///
    /// # Errors
    ///
    /// What SQS and SNS can't carry, and what to do.
    pub(crate) fn of(outgoing: &'m Outgoing, fifo: bool) -> Result<Self, String> {
        let message = &outgoing.message;
        let body = body(message)?;
        if body.is_empty() {
            return Err("the payload is empty: SQS and SNS refuse empty messages".to_owned());
        }
        let attributes: Vec<_> = senders_headers(message).collect();
        if attributes.len() > ATTRIBUTES {
            let count = attributes.len();
            return Err(format!(
                "{count} headers: SQS and SNS carry {ATTRIBUTES}; move some into the payload"
            ));
        }
        if let Some((name, _)) = attributes.iter().find(|(_, value)| value.is_empty()) {
            return Err(format!(
                "the header `{name}` is empty: SQS and SNS refuse empty attributes"
            ));
        }
        if fifo && message.group().is_none() {
            return Err("a FIFO queue or topic needs the message's group: set it with `Message::with_group`".to_owned());
        }
        let deduplication_id = fifo.then(|| match &outgoing.deduplication_id {
            Some(id) => Cow::Borrowed(&**id),
            None => Cow::Owned(message.id().to_string()),
        });
        let group = message.group().map(Cow::Borrowed);
        Ok(Self {
            body,
            attributes,
            trace: message.headers().get(TRACE),
            group,
            deduplication_id,
            delay: None,
        })
    }

    /// The dead letter of a message, within the limits of SQS: at most ten attributes, the others folded into the
    /// envelope; without its reason, if that makes it fit. None where it still is too large.
    pub(crate) fn dead_letter(
        message: &'m Message,
        envelope: &DeadLetter,
        fifo: bool,
    ) -> Option<Self> {
        let mut attributes: Vec<_> = senders_headers(message)
            .filter(|(name, value)| *name != DeadLetter::HEADER && !value.is_empty())
            .collect();
        let fold = attributes.len() >= ATTRIBUTES;
        let header = |envelope: &DeadLetter, others: &[(&str, Cow<'_, str>)]| {
            let header = envelope.to_header();
            allowed(&if fold {
                folding(&header, others)
            } else {
                header
            })
            .into_owned()
        };
        let value = header(envelope, &attributes);
        let others = if fold {
            std::mem::take(&mut attributes)
        } else {
            Vec::new()
        };
        attributes.push((DeadLetter::HEADER, Cow::Owned(value)));

        let group = match message.group() {
            Some(group) => Some(Cow::Borrowed(group)),
            None => fifo.then_some(Cow::Borrowed("loafer")),
        };
        let deduplication_id = fifo.then(|| Cow::Owned(message.id().to_string()));
        let trace = message.headers().get(TRACE);
        let mut parcel = Self {
            body: body(message).ok()?,
            attributes,
            trace,
            group,
            deduplication_id,
            delay: None,
        };
        if parcel.bytes() > SQS_BYTES && envelope.reason.is_some() {
            let silent = DeadLetter {
                reason: None,
                ..envelope.clone()
            };
            if let Some((_, value)) = parcel.attributes.last_mut() {
                *value = Cow::Owned(header(&silent, &others));
            }
        }
        (parcel.bytes() <= SQS_BYTES).then_some(parcel)
    }

    /// The size by which SQS and SNS measure: body, and name, type and value of each attribute.
    pub(crate) fn bytes(&self) -> usize {
        let attributes = self
            .attributes
            .iter()
            .map(|(name, value)| name.len() + "String".len() + value.len());
        self.body.len() + attributes.sum::<usize>()
    }
}

fn body(message: &Message) -> Result<&str, String> {
    std::str::from_utf8(message.payload()).map_err(|_| {
        "the payload is not UTF-8: SQS and SNS carry text; encode it, as base64 say".to_owned()
    })
}

/// The headers without those that SQS made.
fn senders_headers(message: &Message) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    let senders = message
        .headers()
        .iter()
        .filter(|(name, _)| !is_of_sqs(name));
    senders.map(|(name, value)| (name, allowed(value)))
}

/// The envelope with one key more, `headers`.
fn folding(envelope: &str, others: &[(&str, Cow<'_, str>)]) -> String {
    let others: serde_json::Map<_, _> = others
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (&**value).into()))
        .collect();
    let open = envelope.strip_suffix('}').unwrap_or(envelope);
    format!("{open},\"headers\":{}}}", serde_json::Value::Object(others))
}

/// The headers folded into an envelope, if there are any.
pub(crate) fn folded(envelope: &str) -> Option<Vec<(String, String)>> {
    #[derive(Deserialize)]
    struct Folded<'e> {
        #[serde(borrow)]
        headers: &'e RawValue,
    }
    let folded: Folded<'_> = serde_json::from_str(envelope).ok()?;
    let headers: std::collections::BTreeMap<String, String> =
        serde_json::from_str(folded.headers.get()).ok()?;
    Some(headers.into_iter().collect())
}

/// Parts these sizes, in order, into calls of at most ten entries and `limit` bytes. A larger one goes alone.
pub(crate) fn calls(sizes: &[usize], limit: usize) -> Vec<Range<usize>> {
    let (mut calls, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (at, size) in sizes.iter().enumerate() {
        if at > start && (at - start == ENTRIES || bytes + size > limit) {
            calls.push(start..at);
            (start, bytes) = (at, 0);
        }
        bytes += size;
    }
    if start < sizes.len() {
        calls.push(start..sizes.len());
    }
    calls
}

#[cfg(test)]
mod tests;
