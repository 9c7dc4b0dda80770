//! Dead letters of messages that are given up.

use std::{sync::Arc, time::SystemTime};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Own, Reports};
use loafer_core::{
    broker::{DeadLetter, Settlement},
    message::Message,
};

/// The longest reason of a dead letter, in bytes.
const REASON: usize = 512;

impl Reports {
    /// Returns the settlement that gives a message up.
    pub(crate) fn dead_letter(
        &self,
        message: &Message,
        own: &Own,
        kind: &str,
        reason: &str,
    ) -> Settlement {
        let written = |at: OffsetDateTime| at.format(&Rfc3339).unwrap_or_default();
        let now = written(OffsetDateTime::now_utc());
        let first_failed_at = match message.attempt() {
            ..=1 => Some(now.clone()),
            _ => message.first_failed_at().and_then(moment).map(written),
        };
        let end = (0..=reason.len().min(REASON))
            .rev()
            .find(|&at| reason.is_char_boundary(at))
            .unwrap_or(0);
        let seen = own.seen(message);
        let retried_from = message.headers().get(DeadLetter::RETRIED_FROM);
        Settlement::DeadLetter(Arc::new(DeadLetter {
            event_id: seen
                .event_id()
                .or(message.event_id())
                .map_or_else(|| message.id().to_string(), str::to_owned),
            message_id: message.id().to_string(),
            correlation_id: seen
                .correlation_id()
                .or(message.correlation_id())
                .map(str::to_owned),
            route: own.names.route.to_string(),
            queue: own.names.queue.to_string(),
            topic: seen.topic().or(message.topic()).map(str::to_owned),
            handler: own.names.handler.to_string(),
            attempts: message.attempt(),
            deliveries: message.deliveries(),
            first_failed_at,
            failed_at: now,
            kind: kind.to_owned(),
            reason: self.dead_letter_reasons.then(|| reason[..end].to_owned()),
            retried_from: retried_from.map(str::to_owned),
        }))
    }
}

/// Returns a time that RFC 3339 can write. `None` means that it lies too far away.
pub(crate) fn moment(at: SystemTime) -> Option<OffsetDateTime> {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    OffsetDateTime::UNIX_EPOCH.checked_add(since.try_into().ok()?)
}
