//! Copies of messages that were received: dead letters, and messages that are not due yet. They are apart for their size.

use std::{borrow::Cow, time::Duration};

use loafer_core::{
    broker::{DeadLetter, DueTime},
    message::{EVENT_ID, Message},
};

use super::{ATTRIBUTES, Entry, allowed, body, senders_headers};
use crate::{message::Labels, names::TRACE, seconds};

impl<'m> Entry<'m> {
    /// Makes the copy of a message that is not due yet.
    ///
    /// # Errors
    ///
    /// Says what SQS can't carry. A message that came from SQS has no such thing.
    pub(crate) fn deferred(
        message: &'m Message,
        labels: &'m Labels,
        until: DueTime,
        delay: Duration,
    ) -> Result<Self, String> {
        let mut entry = Self {
            body: Cow::Borrowed(body(message)?),
            headers: senders_headers(message).collect(),
            own: message.headers(),
            labels,
            offloaded: None,
            trace: message.headers().get(TRACE),
            group: message.group().map(Cow::Borrowed),
            deduplication_id: None,
            delay: Some(seconds::delay(delay)),
        };
        entry.due(until, &[])?;
        Ok(entry)
    }

    /// Makes the dead letter of a message, for a queue that takes messages of `limit` bytes. If the envelope is one attribute too many, plain texts
    /// are folded into it; others only where that is not enough. If it is too large, the reason is left out.
    ///
    /// # Errors
    ///
    /// Says how large it is if it still is too large, or that its payload is no text.
    pub(crate) fn dead_letter(
        message: &'m Message,
        labels: &'m Labels,
        envelope: &DeadLetter,
        fifo: bool,
        limit: usize,
    ) -> Result<Self, String> {
        let mut attributes: Vec<_> = senders_headers(message)
            .filter(|(name, value)| *name != DeadLetter::HEADER && !value.is_empty())
            .collect();
        let folded = fold(&mut attributes, |name| {
            message.headers().value(name).is_some()
                || labels.iter().any(|(labelled, _)| labelled == name)
        });
        let header = |envelope: &DeadLetter| {
            let header = envelope.to_header();
            let header = match folded.is_empty() {
                true => header,
                false => folding(&header, &folded),
            };
            allowed(&header).into_owned()
        };
        attributes.push((DeadLetter::HEADER, Cow::Owned(header(envelope))));

        let group = match message.group() {
            Some(group) => Some(Cow::Borrowed(group)),
            None => fifo.then_some(Cow::Borrowed("loafer")),
        };
        let mut entry = Self {
            body: Cow::Borrowed(body(message)?),
            headers: attributes,
            own: message.headers(),
            labels,
            offloaded: None,
            trace: message.headers().get(TRACE),
            group,
            deduplication_id: fifo.then(|| Cow::Owned(message.id().to_string())),
            delay: None,
        };
        if entry.bytes() > limit && envelope.reason.is_some() {
            let silent = DeadLetter {
                reason: None,
                ..envelope.clone()
            };
            if let Some((_, value)) = entry.headers.last_mut() {
                *value = Cow::Owned(header(&silent));
            }
        }
        match entry.bytes() {
            bytes if bytes > limit => Err(format!(
                "the message has {bytes} bytes with its headers and envelope, and {limit} is the most there"
            )),
            _ => Ok(entry),
        }
    }
}

/// Takes out of the attributes of a dead letter those that leave no room for its envelope: the last by their names. The event's id is not among them.
fn fold<'m>(
    attributes: &mut Vec<(&'m str, Cow<'m, str>)>,
    has_type: impl Fn(&str) -> bool,
) -> Vec<(&'m str, Cow<'m, str>)> {
    let mut folded = Vec::new();
    for typed in [false, true] {
        let fits = |name: &str| name != EVENT_ID && has_type(name) == typed;
        while attributes.len() >= ATTRIBUTES
            && let Some((_, at)) = attributes
                .iter()
                .enumerate()
                .filter(|(_, (name, _))| fits(name))
                .map(|(at, (name, _))| (*name, at))
                .max()
        {
            folded.push(attributes.remove(at));
        }
    }
    folded
}

/// Adds the key `headers` to an envelope.
fn folding(envelope: &str, others: &[(&str, Cow<'_, str>)]) -> String {
    let others: serde_json::Map<_, _> = others
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (&**value).into()))
        .collect();
    let open = envelope.strip_suffix('}').unwrap_or(envelope);
    format!("{open},\"headers\":{}}}", serde_json::Value::Object(others))
}
