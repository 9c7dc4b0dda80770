//! The SQS bench: Loafer and a hand-written loop on the same queue depth, through the same counting proxy.

pub mod calls;
mod cpu;
pub mod loafer;
pub mod meter;
pub mod proxy;
pub mod queue;
pub mod raw;
pub mod report;

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

/// The size of a body, in bytes.
const BODY: usize = 200;

/// What the body of a message decodes to, in both loops.
#[derive(Debug, Deserialize, Serialize)]
pub struct Event {
    /// Tells the messages of a queue apart.
    number: usize,
    /// Fills the body up.
    text: String,
}

impl Event {
    /// The body of the message with this number.
    fn body(number: usize) -> Result<String> {
        let mut event = Self {
            number,
            text: String::new(),
        };
        let empty = serde_json::to_string(&event)?.len();
        event.text = "x".repeat(BODY.saturating_sub(empty));
        Ok(serde_json::to_string(&event)?)
    }
}

/// The messages handled so far: each must come once.
#[derive(Debug)]
pub struct Seen {
    once: Vec<AtomicBool>,
    handled: AtomicU64,
    /// How long a handler waits.
    wait: Duration,
}

impl Seen {
    /// None yet of this many, and handlers that wait so long.
    pub fn new(messages: usize, wait: Duration) -> Self {
        Self {
            once: (0..messages).map(|_| AtomicBool::new(false)).collect(),
            handled: AtomicU64::new(0),
            wait,
        }
    }

    /// How many there will be.
    pub fn messages(&self) -> usize {
        self.once.len()
    }

    /// The handler of both loops.
    async fn handle(&self, event: &Event) -> bool {
        if !self.wait.is_zero() {
            tokio::time::sleep(self.wait).await;
        }
        self.handled.fetch_add(1, Ordering::Relaxed);
        match self.once.get(event.number) {
            Some(seen) => {
                seen.store(true, Ordering::Relaxed);
                !event.text.is_empty()
            }
            None => false,
        }
    }

    /// # Errors
    ///
    /// A message that was not handled, or handled twice.
    fn check(&self) -> Result<()> {
        let different = self.once.iter().filter(|seen| seen.load(Ordering::Relaxed));
        let (different, handled) = (different.count(), self.handled.load(Ordering::Relaxed));
        ensure!(
            different == self.messages() && handled == different as u64,
            "{} messages were sent, {different} of them were handled, in {handled} calls of the handler",
            self.messages()
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_body_has_the_same_size() {
        for number in [0, 7, 9_999] {
            assert_eq!(Event::body(number).unwrap().len(), BODY);
        }
    }

    #[tokio::test]
    async fn each_message_must_be_handled_once() {
        let event = |number| serde_json::from_str::<Event>(&Event::body(number).unwrap()).unwrap();
        let seen = Seen::new(2, Duration::ZERO);
        assert!(seen.handle(&event(0)).await);
        assert!(seen.check().is_err());
        assert!(seen.handle(&event(1)).await);
        assert!(seen.check().is_ok());
        assert!(seen.handle(&event(1)).await);
        assert!(seen.check().is_err());
        assert!(!seen.handle(&event(2)).await);
    }
}
