//! Combining: messages that are published to one address at the same time go out in one window. RabbitMQ confirms them together.

use std::{
    collections::{HashMap, VecDeque},
    mem,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::{Answers, Unsent, WINDOW, WINDOW_BYTES, pool::Pool};
use crate::outgoing::Entry;

/// How many windows are on their way to one address before the next messages wait for one of them. A full window never waits.
const WINDOWS: usize = 2;

/// An exchange and a routing key. Each address has windows of its own, so that one that fails or is slow holds up no other.
type Address = (Arc<str>, Arc<str>);

/// Messages of one sender to one address.
pub(super) struct Part {
    /// What they are published for, as errors name it.
    pub(super) what: String,
    pub(super) entries: Arc<[Entry]>,
    pub(super) range: Range<usize>,
    /// Takes the answers. An error means that no channel could be opened.
    pub(super) answer: oneshot::Sender<Result<Answers, Unsent>>,
}

impl Part {
    fn entries(&self) -> &[Entry] {
        &self.entries[self.range.clone()]
    }

    fn bytes(&self) -> usize {
        let payloads = self.entries().iter().map(|entry| entry.payload.len());
        payloads.sum()
    }
}

/// What waits for each address.
#[derive(Default)]
pub(super) struct Combiner {
    addresses: Mutex<HashMap<Address, Waiting>>,
}

#[derive(Default)]
struct Waiting {
    parts: VecDeque<Part>,
    /// The messages in `parts`.
    messages: usize,
    /// Tasks that publish them. An entry of the map with parts has at least one, unless that task broke off.
    running: usize,
}

impl Combiner {
    fn addresses(&self) -> MutexGuard<'_, HashMap<Address, Waiting>> {
        self.addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a part to the next window to its address.
    pub(super) fn add(self: &Arc<Self>, pool: &Arc<Pool>, part: Part) {
        let first = &part.entries[part.range.start];
        let address = (first.exchange.clone(), first.routing_key.clone());
        let mut addresses = self.addresses();
        let waiting = addresses.entry(address.clone()).or_default();
        waiting.messages += part.range.len();
        waiting.parts.push_back(part);
        if waiting.running < WINDOWS || waiting.messages >= WINDOW {
            waiting.running += 1;
            drop(addresses);
            let task = Task {
                combiner: self.clone(),
                address,
                counted: true,
            };
            tokio::spawn(task.publish(pool.clone()));
        }
    }
}

/// A task that publishes what waits for one address.
struct Task {
    combiner: Arc<Combiner>,
    address: Address,
    /// Whether `Waiting::running` counts this task.
    counted: bool,
}

impl Task {
    async fn publish(mut self, pool: Arc<Pool>) {
        loop {
            // Parts whose senders went away while this waited are left out.
            pool.link.unblocked().await;
            let parts = self.next();
            let Some(first) = parts.first() else { return };
            let entries: Vec<&Entry> = parts.iter().flat_map(Part::entries).collect();
            let published = pool.publish(&first.what, &entries).await;
            match published {
                Ok(answers) => {
                    let mut answers = answers.into_iter();
                    for part in parts {
                        let its = answers.by_ref().take(part.range.len()).collect();
                        _ = part.answer.send(Ok(its));
                    }
                }
                Err(unsent) => {
                    // The others would wait for a connection just as long.
                    for part in parts.into_iter().chain(self.rest()) {
                        _ = part.answer.send(Err(unsent.clone()));
                    }
                }
            }
        }
    }

    /// Takes a window of what waits. If nothing waits, the task is no longer counted, under the same lock, so that the next part starts another task.
    fn next(&mut self) -> Vec<Part> {
        let combiner = self.combiner.clone();
        let mut addresses = combiner.addresses();
        let mut parts = Vec::new();
        let Some(waiting) = addresses.get_mut(&self.address) else {
            return parts;
        };
        let (mut messages, mut bytes) = (0, 0);
        while let Some(next) = waiting.parts.front() {
            let (more, larger) = (messages + next.range.len(), bytes + next.bytes());
            if !parts.is_empty() && (more > WINDOW || larger > WINDOW_BYTES) {
                break;
            }
            let Some(part) = waiting.parts.pop_front() else {
                break;
            };
            waiting.messages -= part.range.len();
            if !part.answer.is_closed() {
                (messages, bytes) = (more, larger);
                parts.push(part);
            }
        }
        if parts.is_empty() {
            self.leave(&mut addresses);
        }
        parts
    }

    fn leave(&mut self, addresses: &mut HashMap<Address, Waiting>) {
        if mem::take(&mut self.counted)
            && let Some(waiting) = addresses.get_mut(&self.address)
        {
            waiting.running -= 1;
            if waiting.running == 0 {
                // Parts are left only if the task broke off. Their senders then get the answer `Unknown`.
                addresses.remove(&self.address);
            }
        }
    }

    /// Takes all that waits.
    fn rest(&self) -> VecDeque<Part> {
        let mut addresses = self.combiner.addresses();
        let waiting = addresses.get_mut(&self.address);
        waiting.map_or_else(VecDeque::new, |waiting| {
            waiting.messages = 0;
            mem::take(&mut waiting.parts)
        })
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let combiner = self.combiner.clone();
        self.leave(&mut combiner.addresses());
    }
}
