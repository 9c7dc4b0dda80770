//! The publisher: sends until so many messages are confirmed, whatever is in its way.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::{
    broker::{Broker, Sender as _},
    job::Job,
    settings::Settings,
};

/// Every message of which the server said that it has it, by its number.
pub(crate) type Confirmed = HashMap<u64, Job>;

/// What was published.
#[derive(Debug, Default)]
pub(crate) struct Published {
    pub(crate) confirmed: Confirmed,
    /// They may be in the queue or not: nobody said.
    pub(crate) unconfirmed: Confirmed,
}

/// Spreads the messages over the time. One that was not confirmed is sent again under a number of its own.
pub(crate) async fn publish<B: Broker>(sender: &B::Sender, settings: &Settings) -> Published {
    let (messages, time) = (settings.messages, settings.time);
    let limited = B::RULES.max_attempts.is_some();
    let begin = Instant::now();
    let mut published = Published::default();
    let mut next = 0;
    while (published.confirmed.len() as u64) < messages {
        let done = published.confirmed.len() as u64;
        let due = time.mul_f64(done as f64 / messages as f64);
        let early = due.saturating_sub(begin.elapsed());
        tokio::time::sleep(early).await;
        // Behind its time, it fills its calls.
        let most = if early.is_zero() {
            B::BATCH
        } else {
            fastrand::u64(1..=10)
        };
        let count = most.min(messages - done);
        let mut jobs: HashMap<u64, Job> = (next..next + count)
            .map(|id| match limited && settings.crashes(id) {
                true => (id, Job::crash()),
                false => (id, Job::random(&mut settings.rng(id), limited)),
            })
            .collect();
        next += count;
        for id in sender.send(&jobs).await {
            published.confirmed.extend(jobs.remove_entry(&id));
        }
        if !jobs.is_empty() {
            published.unconfirmed.extend(jobs);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    published
}
