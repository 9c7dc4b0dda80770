//! The record of what became of messages. Assertions read it, and show it when they fail.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::handler::FailureLog;
use loafer_core::{
    broker::{Settled, Settlement},
    message::{Message, MessageId},
};
use loafer_memory::Memory;

/// How many lines a failed assertion shows. The rest is counted.
const LINES: usize = 40;

/// What became of the messages of one service.
#[derive(Clone, Default)]
pub(super) struct Ledger(Arc<Mutex<Records>>);

#[derive(Default)]
struct Records {
    deliveries: Vec<Delivered>,
    /// What the service published, each with its topic.
    published: Vec<(String, Message)>,
    /// How often something was recorded. A test that waits sees from it that something still happens.
    written: usize,
}

struct Delivered {
    queue: Arc<str>,
    id: MessageId,
    attempt: u32,
    end: Option<End>,
}

/// How the broker settled a delivery.
#[derive(Clone, Copy)]
enum End {
    Acked,
    Retried(Option<Duration>),
    DeadLettered,
    Released,
    Lost,
}

impl Ledger {
    fn records(&self) -> MutexGuard<'_, Records> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn delivered(&self, queue: &Arc<str>, message: &Message) {
        let mut records = self.records();
        records.written += 1;
        records.deliveries.push(Delivered {
            queue: queue.clone(),
            id: message.id().clone(),
            attempt: message.attempt(),
            end: None,
        });
    }

    /// Records the answer to a settlement. A settlement that failed is tried again, and so is not recorded.
    pub(super) fn settled(
        &self,
        queue: &str,
        message: &Message,
        settlement: &Settlement,
        answer: &Settled,
    ) {
        let end = match (answer, settlement) {
            (Settled::Failed(_) | Settled::NoDeadLetterTarget, _) => return,
            (Settled::Lost, _) => End::Lost,
            (Settled::Done, Settlement::Ack) => End::Acked,
            (Settled::Done, Settlement::Retry { after }) => End::Retried(*after),
            (Settled::Done, Settlement::DeadLetter(_)) => End::DeadLettered,
            (
                Settled::Done,
                Settlement::Release | Settlement::Defer { .. } | Settlement::Isolate,
            ) => End::Released,
        };
        let mut records = self.records();
        records.written += 1;
        let same = |known: &&mut Delivered| {
            known.end.is_none()
                && known.attempt <= message.attempt()
                && known.id == *message.id()
                && *known.queue == *queue
        };
        if let Some(delivered) = records.deliveries.iter_mut().rev().find(same) {
            delivered.end = Some(end);
        }
    }

    pub(super) fn published(&self, topic: &str, message: Message) {
        let mut records = self.records();
        records.written += 1;
        records.published.push((topic.to_owned(), message));
    }

    /// Returns what the service published, in order, each with its topic.
    pub(super) fn all_published(&self) -> Vec<(String, Message)> {
        self.records().published.clone()
    }

    /// Whether a message was acked, or became a dead letter because the service decided so.
    pub(super) fn has_left(&self, queue: &str, id: &MessageId) -> bool {
        let records = self.records();
        let mut ours = records
            .deliveries
            .iter()
            .filter(|known| *known.queue == *queue && known.id == *id);
        ours.any(|known| matches!(known.end, Some(End::Acked | End::DeadLettered)))
    }

    pub(super) fn written(&self) -> usize {
        self.records().written
    }
}

/// Everything that a failed assertion can show.
#[derive(Clone)]
pub(super) struct Evidence {
    pub(super) ledger: Ledger,
    pub(super) failure_log: FailureLog,
    pub(super) memory: Memory,
}

impl Evidence {
    /// Returns why deliveries of a message were not acked, as the service said.
    pub(super) fn reasons(&self, route: &str, id: &MessageId, attempt: Option<u32>) -> Vec<String> {
        let failure_log = self
            .failure_log
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let of_message = format!("not acked: route `{route}`, message {id}, attempt ");
        let lines = failure_log.iter().filter_map(|line| {
            let (number, reason) = line.strip_prefix(&of_message)?.split_once(": ")?;
            let ours = attempt.is_none_or(|attempt| number == attempt.to_string());
            ours.then(|| reason.to_owned())
        });
        lines.collect()
    }

    /// Returns what happened to every message of a route, one line for each.
    pub(super) fn story(&self, route: &str, queue: &str) -> String {
        let waiting = self.memory.messages(queue);
        let mut lines = self.deliveries(route, queue, &waiting);
        let records = self.ledger.records();
        for message in &waiting {
            let known = |delivered: &Delivered| delivered.id == *message.id();
            if !records.deliveries.iter().any(known) {
                lines.push(format!("{}: not received yet", message.id()));
            }
        }
        for dead in self.memory.dead_letters(queue) {
            lines.push(format!("{}: is a dead letter", dead.id()));
        }
        if lines.is_empty() {
            return format!("no message came to route `{route}`");
        }
        let mut story = format!("what happened on route `{route}`:{}", listed(&lines));
        if !waiting.is_empty() {
            _ = write!(
                story,
                "\n{} still on its queue: is an `app.settled().await` missing?",
                waiting.len()
            );
        }
        story
    }

    fn deliveries(&self, route: &str, queue: &str, waiting: &[Message]) -> Vec<String> {
        let records = self.ledger.records();
        let ours = records
            .deliveries
            .iter()
            .filter(|known| *known.queue == *queue);
        let line = |delivered: &Delivered| {
            let Delivered {
                id, attempt, end, ..
            } = delivered;
            let reasons = self.reasons(route, id, Some(*attempt)).join("; ");
            let end = match end {
                Some(End::Acked) => "acked".to_owned(),
                Some(End::Retried(Some(after))) => {
                    format!("retried after {}", humantime::format_duration(*after))
                }
                Some(End::Retried(None)) => "to be redelivered when its lease expires".to_owned(),
                Some(End::DeadLettered) => "dead-lettered".to_owned(),
                Some(End::Released) => "released, not tried".to_owned(),
                Some(End::Lost) => "its lease was lost".to_owned(),
                None if !reasons.is_empty() => {
                    "to be redelivered when its lease expires".to_owned()
                }
                None if waiting.iter().any(|message| message.id() == id) => {
                    "running, or not settled yet".to_owned()
                }
                None => "never settled".to_owned(),
            };
            match reasons.as_str() {
                "" => format!("{id}, attempt {attempt}: {end}"),
                reasons => format!("{id}, attempt {attempt}: not acked, {end}: {reasons}"),
            }
        };
        ours.map(line).collect()
    }
}

/// Returns the lines, each on its own, and how many more there are than one reads.
pub(super) fn listed(lines: &[String]) -> String {
    let mut text = String::new();
    for line in lines.iter().take(LINES) {
        _ = write!(text, "\n  {line}");
    }
    if let more @ 1.. = lines.len().saturating_sub(LINES) {
        _ = write!(text, "\n  … and {more} more");
    }
    text
}
