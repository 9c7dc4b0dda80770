//! A service running in memory, and what a test asks of it.

use std::sync::PoisonError;

use serde::Serialize;

use crate::{Ended, Memory, Message, RouteStats, Running, app::Journal};

/// A service running in memory. Dropped, it stops; dropped by a test that fails, it says which messages were not acked, and why.
#[derive(Debug)]
pub struct TestApp {
    running: Running,
    memory: Memory,
    journal: Journal,
}

/// One route of a service in memory.
#[derive(Clone, Debug)]
pub struct TestRoute {
    stats: RouteStats,
    dead_letters: Vec<Message>,
}

impl TestApp {
    pub(super) fn new(running: Running, memory: Memory, journal: Journal) -> Self {
        Self {
            running,
            memory,
            journal,
        }
    }

    /// Puts a value, as JSON, on a route's queue.
    ///
    /// # Panics
    ///
    /// Where there is no such route, or the value does not encode.
    pub async fn publish<T: Serialize + ?Sized>(&self, route: &str, value: &T) {
        let payload = match serde_json::to_vec(value) {
            Ok(payload) => payload,
            Err(error) => panic!("the value for route `{route}` does not encode: {error}"),
        };
        self.publish_message(route, Message::new(payload)).await;
    }

    /// Puts a message on a route's queue as it is: any payload, headers, group.
    ///
    /// # Panics
    ///
    /// Where there is no such route.
    pub async fn publish_message(&self, route: &str, message: Message) {
        if let Err(error) = self.running.publish(route, message).await {
            panic!("{error}");
        }
    }

    /// Waits until no message is in flight or waiting: every one was acked or is among the dead letters. Under paused time, retries take no time.
    pub async fn settled(&self) {
        loop {
            self.memory.settled().await;
            self.running.quiet().await;
            if self.memory.is_settled() {
                return;
            }
        }
    }

    /// What became of a route's messages so far.
    ///
    /// # Panics
    ///
    /// Where there is no such route.
    #[track_caller]
    pub fn route(&self, route: &str) -> TestRoute {
        let (Some(stats), Some(queue)) = (self.running.stats(route), self.running.queue(route))
        else {
            let known: Vec<_> = self.running.routes().collect();
            panic!("{}", crate::config::unknown(route, &known, "", "route"));
        };
        TestRoute {
            stats,
            dead_letters: self.memory.dead_letters(queue),
        }
    }

    /// The messages that were published to a topic since the start.
    pub fn published(&self, topic: &str) -> Vec<Message> {
        self.memory.published(topic)
    }

    /// The running service.
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// Stops as SIGTERM does, and waits for the end.
    pub async fn shutdown(&self) -> Ended {
        self.running.shutdown();
        self.running.ended().await
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
            journal.iter().for_each(|line| eprintln!("{line}"));
        }
        self.running.cancel();
    }
}

impl TestRoute {
    /// Deliveries received.
    pub fn received(&self) -> u64 {
        self.stats.received
    }

    /// Messages acked.
    pub fn acked(&self) -> u64 {
        self.stats.acked
    }

    /// Deliveries that were left to be delivered again.
    pub fn retried(&self) -> u64 {
        self.stats.retried
    }

    /// Deliveries that failed: error, panic, timeout, undecodable.
    pub fn failed(&self) -> u64 {
        self.stats.failed
    }

    /// Its dead letters: rejected, or received too often.
    pub fn dead_letters(&self) -> &[Message] {
        &self.dead_letters
    }

    /// How many dead letters it has.
    pub fn dead_lettered(&self) -> usize {
        self.dead_letters.len()
    }
}
