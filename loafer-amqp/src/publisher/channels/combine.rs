//! What is sent to one place at the same time goes out together.

use std::{
    collections::{HashMap, VecDeque},
    mem,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::{Parcel, Sent, Unsent, WINDOW, WINDOW_BYTES, pool::Channels};

/// Windows on their way to one place, before what comes next has to wait for one of them; a full one never waits.
const WINDOWS: usize = 2;

/// An exchange and a routing key. What is wrong with one is no other's loss, and who takes its time keeps no other waiting.
type Place = (Arc<str>, Arc<str>);

/// Messages of one sender, to one place.
pub(super) struct Part {
    /// What they are sent for.
    pub(super) what: String,
    pub(super) parcels: Arc<[Parcel]>,
    pub(super) range: Range<usize>,
    /// An error: there was no channel to be had.
    pub(super) answer: oneshot::Sender<Result<Sent, Unsent>>,
}

impl Part {
    fn parcels(&self) -> &[Parcel] {
        &self.parcels[self.range.clone()]
    }

    fn bytes(&self) -> usize {
        let payloads = self.parcels().iter().map(|parcel| parcel.payload.len());
        payloads.sum()
    }
}

/// What waits for each place.
#[derive(Default)]
pub(super) struct Gathering {
    places: Mutex<HashMap<Place, Waiting>>,
}

#[derive(Default)]
struct Waiting {
    parts: VecDeque<Part>,
    messages: usize,
    /// Tasks that publish them.
    running: usize,
}

impl Gathering {
    fn places(&self) -> MutexGuard<'_, HashMap<Place, Waiting>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a part where the next window to its place takes it along.
    pub(super) fn add(self: &Arc<Self>, channels: &Arc<Channels>, part: Part) {
        let first = &part.parcels[part.range.start];
        let place = (first.exchange.clone(), first.routing_key.clone());
        let mut places = self.places();
        let waiting = places.entry(place.clone()).or_default();
        waiting.messages += part.range.len();
        waiting.parts.push_back(part);
        if waiting.running < WINDOWS || waiting.messages >= WINDOW {
            waiting.running += 1;
            drop(places);
            let running = Running {
                gathering: self.clone(),
                place,
                counted: true,
            };
            tokio::spawn(running.publish(channels.clone()));
        }
    }
}

/// A task that publishes what waits for one place.
struct Running {
    gathering: Arc<Gathering>,
    place: Place,
    /// Whether it is one of those that run.
    counted: bool,
}

impl Running {
    async fn publish(mut self, channels: Arc<Channels>) {
        loop {
            // Who has gone away meanwhile is left out.
            channels.link.unblocked().await;
            let parts = self.next();
            let Some(first) = parts.first() else { return };
            let parcels: Vec<&Parcel> = parts.iter().flat_map(Part::parcels).collect();
            let published = channels.publish(&first.what, &parcels).await;
            match published {
                Ok(answers) => {
                    let mut answers = answers.into_iter();
                    for part in parts {
                        let its = answers.by_ref().take(part.range.len()).collect();
                        _ = part.answer.send(Ok(its));
                    }
                }
                Err(unsent) => {
                    // The others would wait for a connection as long again.
                    for part in parts.into_iter().chain(self.rest()) {
                        _ = part.answer.send(Err(unsent.clone()));
                    }
                }
            }
        }
    }

    /// A window of what waits. Where nothing does, it is counted out in the same breath: what comes next starts another one.
    fn next(&mut self) -> Vec<Part> {
        let gathering = self.gathering.clone();
        let mut places = gathering.places();
        let mut parts = Vec::new();
        let Some(waiting) = places.get_mut(&self.place) else {
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
            self.leave(&mut places);
        }
        parts
    }

    fn leave(&mut self, places: &mut HashMap<Place, Waiting>) {
        if mem::take(&mut self.counted)
            && let Some(waiting) = places.get_mut(&self.place)
        {
            waiting.running -= 1;
            if waiting.running == 0 {
                // Only where it broke off is anything left: whoever sent that is told that nothing is known of it.
                places.remove(&self.place);
            }
        }
    }

    fn rest(&self) -> VecDeque<Part> {
        let mut places = self.gathering.places();
        let waiting = places.get_mut(&self.place);
        waiting.map_or_else(VecDeque::new, |waiting| {
            waiting.messages = 0;
            mem::take(&mut waiting.parts)
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let gathering = self.gathering.clone();
        self.leave(&mut gathering.places());
    }
}
