//! A message of Loafer as SQS and SNS take it: body, attributes, size; and how many share a call.

use std::{borrow::Cow, iter, ops::Range};

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
/// The same on an SNS topic that does not say otherwise (SNS API: `PublishBatch`).
pub(crate) const SNS_BYTES: usize = 256 * 1024;
/// The attribute which says that the body only points to the payload, and how large that is (AWS's extended clients for SQS and SNS).
pub(crate) const PAYLOAD_SIZE: &str = "ExtendedPayloadSize";

/// What is sent, borrowed from the message until the call is made.
pub(crate) struct Parcel<'m> {
    pub(crate) body: Cow<'m, str>,
    /// The headers.
    pub(crate) headers: Vec<(&'m str, Cow<'m, str>)>,
    /// The size of the payload, where the body only points to it; in bytes.
    offloaded: Option<String>,
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
        let headers: Vec<_> = senders_headers(message).collect();
        if let Some((name, _)) = headers.iter().find(|(_, value)| value.is_empty()) {
            return Err(format!(
                "the header `{name}` is empty: SQS and SNS refuse empty attributes"
            ));
        }
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
        let mut parcel = Self {
            body: Cow::Borrowed(body),
            headers,
            offloaded: None,
            trace: message.headers().get(TRACE),
            group,
            deduplication_id,
            delay: None,
        };
        parcel.leave_out(&outgoing.optional, |parcel| !parcel.has_too_many());
        parcel.check_count()?;
        Ok(parcel)
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
        Err(format!(
            "{count} headers: SQS and SNS carry {most}; move some into the payload"
        ))
    }

    /// Leaves out optional headers, from the last on, until it fits.
    pub(crate) fn leave_out(&mut self, optional: &[&str], fits: impl Fn(&Self) -> bool) {
        for name in optional.iter().rev() {
            if fits(self) {
                return;
            }
            self.headers.retain(|(header, _)| header != name);
        }
    }

    /// Says how large its payload is, which goes elsewhere next: [`Self::point`].
    ///
    /// # Errors
    ///
    /// Where there is no attribute left to say so.
    pub(crate) fn offload(&mut self, optional: &[&str]) -> Result<(), String> {
        self.offloaded = Some(self.body.len().to_string());
        self.leave_out(optional, |parcel| !parcel.has_too_many());
        self.check_count()
    }

    /// Puts in place of its payload what points to it.
    pub(crate) fn point(&mut self, pointer: String) {
        self.body = Cow::Owned(pointer);
    }

    /// Name, type and value of each attribute.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (&str, &'static str, &str)> {
        let headers = self
            .headers
            .iter()
            .map(|(name, value)| (*name, kind(name, value), &**value));
        let size = self.offloaded.as_deref();
        headers.chain(
            iter::once(size)
                .flatten()
                .map(|size| (PAYLOAD_SIZE, "Number", size)),
        )
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
            body: Cow::Borrowed(body(message).ok()?),
            headers: attributes,
            offloaded: None,
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
            if let Some((_, value)) = parcel.headers.last_mut() {
                *value = Cow::Owned(header(&silent, &others));
            }
        }
        (parcel.bytes() <= SQS_BYTES).then_some(parcel)
    }

    /// The size by which SQS and SNS measure: body, and name, type and value of each attribute.
    pub(crate) fn bytes(&self) -> usize {
        let attributes = self
            .attributes()
            .map(|(name, kind, value)| name.len() + kind.len() + value.len());
        self.body.len() + attributes.sum::<usize>()
    }
}

/// A dead letter whose payload is on S3 says so as its message did.
fn kind(name: &str, value: &str) -> &'static str {
    match name == PAYLOAD_SIZE && value.bytes().all(|byte| byte.is_ascii_digit()) {
        true => "Number",
        false => "String",
    }
}

/// Whether SQS and SNS take this as a group or deduplication id: 1 to 128 letters, digits and punctuation marks (SQS API:
/// `SendMessage`, `MessageGroupId` and `MessageDeduplicationId`; SNS API: `Publish`).
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
