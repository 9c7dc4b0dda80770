//! Messages out: body, attributes and size as SQS and SNS take them, and how many messages share a call.

mod carried;
mod copies;

use std::{borrow::Cow, collections::HashMap, iter, ops::Range};

use aws_sdk_sqs::{
    error::BuildError,
    primitives::Blob,
    types::{
        MessageAttributeValue, MessageSystemAttributeNameForSends as SystemName,
        MessageSystemAttributeValue, SendMessageBatchRequestEntry as SqsEntry,
        builders::SendMessageBatchRequestEntryBuilder as SqsEntryBuilder,
    },
};
use loafer_core::{
    broker::DueTime,
    message::{EVENT_ID, HeaderValue, Headers, Message, Outgoing},
    translate::Bytes,
};

use crate::{
    client::ENTRIES,
    names::{PAYLOAD_SIZE, TRACE, is_set_by_sqs},
};

/// How many attributes a message can have (SQS: message attributes; SNS drops the eleventh with raw delivery).
pub(crate) const ATTRIBUTES: usize = 10;
/// How many bytes a message, or all messages of a call together, can have on SQS (SQS quotas).
pub(crate) const SQS_BYTES: usize = 1024 * 1024;
/// How many bytes they can have on an SNS topic that does not say otherwise (SNS API: `PublishBatch`).
pub(crate) const SNS_BYTES: usize = 256 * 1024;

/// An entry of a call that sends, borrowed from the message until the call is made.
pub(crate) struct Entry<'m> {
    pub(crate) body: Cow<'m, str>,
    pub(crate) headers: Vec<(&'m str, Cow<'m, str>)>,
    /// The message's own headers, which say which of them are no text.
    own: &'m Headers,
    /// The types with labels that a copy keeps.
    labels: &'m [(String, String)],
    /// The size of the payload in bytes, if the body only points to it.
    offloaded: Option<String>,
    /// The trace of X-Ray, which has a field of its own on SQS.
    pub(crate) trace: Option<&'m str>,
    pub(crate) group: Option<Cow<'m, str>>,
    pub(crate) deduplication_id: Option<Cow<'m, str>>,
    /// The delay in seconds.
    pub(crate) delay: Option<i32>,
}

impl<'m> Entry<'m> {
    /// Makes an entry of a message to publish. On a FIFO queue or topic it has a group and a deduplication id.
    ///
    /// # Errors
    ///
    /// Says what SQS and SNS can't carry, and what to do.
    pub(crate) fn of(outgoing: &'m Outgoing, fifo: bool) -> Result<Self, String> {
        let message = &outgoing.message;
        let body = body(message)?;
        if body.is_empty() {
            return Err("the payload is empty: SQS and SNS refuse empty messages".to_owned());
        }
        if let Some(found) = carried::refused(body) {
            return Err(format!(
                "the payload has {found}: SQS and SNS refuse it; escape it, or encode the payload, as base64 say"
            ));
        }
        let headers = carried::headers(message, &outgoing.optional)?;
        if fifo && message.group().is_none() {
            return Err("a FIFO queue or topic needs the message's group: set it with `Outgoing::group`, give the event one with `#[event(group = FIELD)]` or `Event::group`, or say `--group` on the command line".to_owned());
        }
        let group = message.group().map(Cow::Borrowed);
        if let Some(group) = &group {
            check_id(group, "group")?;
        }
        let deduplication_id = fifo.then(|| match &outgoing.deduplication_id {
            Some(id) => Cow::Borrowed(id.as_str()),
            None => Cow::Owned(message.id().to_string()),
        });
        if let Some(id) = &deduplication_id {
            check_id(id, "deduplication id")?;
        }
        let mut entry = Self {
            body: Cow::Borrowed(body),
            headers,
            own: message.headers(),
            labels: &[],
            offloaded: None,
            trace: message.headers().get(TRACE),
            group,
            deduplication_id,
            delay: None,
        };
        entry.leave_out(&outgoing.optional, |entry| !entry.has_too_many());
        entry.check_count()?;
        Ok(entry)
    }

    /// Leaves out headers until `fits` says yes: first those that only say how an envelope was opened, then the optional ones, beginning with the last.
    /// The event's id stays, whoever calls it optional.
    pub(crate) fn leave_out(&mut self, optional: &[&str], fits: impl Fn(&Self) -> bool) {
        let opened = self.headers.iter().map(|(name, _)| *name);
        let mut opened: Vec<_> = opened
            .filter(|name| carried::is_of_envelope(name))
            .collect();
        opened.sort_unstable();
        let optional = optional.iter().copied().filter(|name| *name != EVENT_ID);
        for name in optional.chain(opened).rev().collect::<Vec<_>>() {
            if fits(self) {
                return;
            }
            self.headers.retain(|(header, _)| *header != name);
        }
    }

    /// Notes when the message is due.
    ///
    /// # Errors
    ///
    /// Returns an error if the message has no attribute left to say so.
    pub(crate) fn due(&mut self, at: DueTime, optional: &[&str]) -> Result<(), String> {
        self.headers
            .push((DueTime::HEADER, Cow::Owned(at.to_header())));
        self.leave_out(optional, |entry| !entry.has_too_many());
        self.check_count()
    }

    fn has_too_many(&self) -> bool {
        self.attributes().count() > ATTRIBUTES
    }

    fn check_count(&self) -> Result<(), String> {
        if !self.has_too_many() {
            return Ok(());
        }
        let (count, most) = (
            self.headers.len(),
            match self.offloaded {
                Some(_) => format!("{}, where the payload is on S3", ATTRIBUTES - 1),
                None => ATTRIBUTES.to_string(),
            },
        );
        let names: Vec<_> = self
            .headers
            .iter()
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        let names = names.join(", ");
        Err(format!(
            "{count} headers ({names}): SQS and SNS carry {most}; move some into the payload"
        ))
    }

    /// Notes how large the payload is, before [`Self::point`] replaces it.
    ///
    /// # Errors
    ///
    /// Returns an error if the message has no attribute left to say so.
    pub(crate) fn offload(&mut self, optional: &[&str]) -> Result<(), String> {
        self.offloaded = Some(self.body.len().to_string());
        self.leave_out(optional, |entry| !entry.has_too_many());
        self.check_count()
    }

    /// Replaces the payload by a pointer to it.
    pub(crate) fn point(&mut self, pointer: String) {
        self.body = Cow::Owned(pointer);
    }

    /// Returns name, type and value of each attribute.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (&str, &str, Value<'_>)> {
        let headers = self.headers.iter().map(|(name, text)| {
            let (plain, value) = match self.own.value(name) {
                Some(HeaderValue::Binary(bytes)) => ("Binary", Value::Binary(bytes)),
                Some(_) => ("Number", Value::Text(text)),
                None => (kind(name, text), Value::Text(text)),
            };
            (*name, self.label(name).unwrap_or(plain), value)
        });
        let size = self.offloaded.as_deref();
        headers.chain(
            iter::once(size)
                .flatten()
                .map(|size| (PAYLOAD_SIZE, "Number", Value::Text(size))),
        )
    }

    fn label(&self, name: &str) -> Option<&str> {
        let mut labels = self.labels.iter();
        labels.find_map(|(known, kind)| (known == name).then_some(&**kind))
    }

    /// Returns the size as SQS and SNS measure it: body, and name, type and value of each attribute.
    pub(crate) fn bytes(&self) -> usize {
        let attributes = self
            .attributes()
            .map(|(name, kind, value)| name.len() + kind.len() + value.len());
        self.body.len() + attributes.sum::<usize>()
    }

    /// Returns the entry as the SDK for SQS takes it.
    pub(crate) fn to_sqs(&self) -> Result<SqsEntryBuilder, BuildError> {
        let attributes = self.attributes().map(|(name, kind, value)| {
            let attribute = MessageAttributeValue::builder().data_type(kind);
            let attribute = match value {
                Value::Text(text) => attribute.string_value(text),
                Value::Binary(bytes) => attribute.binary_value(Blob::new(&**bytes)),
            };
            Ok((name.to_owned(), attribute.build()?))
        });
        let attributes = attributes.collect::<Result<HashMap<_, _>, BuildError>>()?;
        let entry = SqsEntry::builder()
            .message_body(&*self.body)
            .set_message_attributes((!attributes.is_empty()).then_some(attributes))
            .set_message_group_id(self.group.as_deref().map(str::to_owned))
            .set_message_deduplication_id(self.deduplication_id.as_deref().map(str::to_owned))
            .set_delay_seconds(self.delay);
        with_trace(entry, self.trace)
    }
}

/// The value of an attribute.
pub(crate) enum Value<'e> {
    Text(&'e str),
    Binary(&'e Bytes),
}

impl Value<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }
}

/// Returns the type of an attribute that is no value. A dead letter whose payload is on S3 says so with the type that its message had.
fn kind(name: &str, value: &str) -> &'static str {
    match name == PAYLOAD_SIZE && value.bytes().all(|byte| byte.is_ascii_digit()) {
        true => "Number",
        false => "String",
    }
}

/// Refuses what SQS and SNS do not take as a group or deduplication id: they take 1 to 128 letters, digits and punctuation marks (SQS
/// API: `SendMessage`, `MessageGroupId` and `MessageDeduplicationId`; SNS API: `Publish`).
fn check_id(id: &str, what: &str) -> Result<(), String> {
    let cause = match id.len() {
        0 => "is empty".to_owned(),
        length @ 129.. => format!("has {length} bytes"),
        _ if !id.bytes().all(|byte| byte.is_ascii_graphic()) => {
            "has a blank or a letter that is not ASCII".to_owned()
        }
        _ => return Ok(()),
    };
    Err(format!(
        "the message's {what} {cause}: SQS and SNS take 1 to 128 letters, digits and punctuation marks of ASCII; use a hash of it, say"
    ))
}

fn body(message: &Message) -> Result<&str, String> {
    std::str::from_utf8(message.payload()).map_err(|_| {
        "the payload is not UTF-8: SQS and SNS carry text; encode it, as base64 say".to_owned()
    })
}

/// Returns the headers without those that SQS set, and without the one that says when the message is due: each copy has its own.
fn senders_headers(message: &Message) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    let senders = message
        .headers()
        .iter()
        .filter(|(name, _)| !is_set_by_sqs(name) && *name != DueTime::HEADER);
    senders.map(|(name, value)| (name, allowed(value)))
}

/// Returns a text with a replacement in place of what SQS and SNS refuse in values. A copy of ours must not fail for it.
pub(crate) fn allowed(text: &str) -> Cow<'_, str> {
    if text.contains(carried::is_refused) {
        Cow::Owned(text.replace(carried::is_refused, "\u{FFFD}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Adds the trace of X-Ray, which has a field of its own on SQS, to an entry of a call.
pub(crate) fn with_trace(
    entry: SqsEntryBuilder,
    trace: Option<&str>,
) -> Result<SqsEntryBuilder, BuildError> {
    let Some(trace) = trace else {
        return Ok(entry);
    };
    let trace = MessageSystemAttributeValue::builder()
        .data_type("String")
        .string_value(trace)
        .build()?;
    Ok(entry.message_system_attributes(SystemName::AwsTraceHeader, trace))
}

/// Divides sizes, in order, into calls of at most ten entries and `limit` bytes. A larger message goes alone.
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
