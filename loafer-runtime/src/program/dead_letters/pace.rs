//! The rate at which dead letters are copied one by one.

use std::time::Duration;

use loafer_core::Error;
use tokio::time::{Instant, sleep_until};

/// Lets no more dead letters go in a second than it was told.
pub(super) struct Pace {
    /// The time that each takes. Zero means that there is no rate.
    each: Duration,
    /// How many may go at once.
    batch: usize,
    /// When the next may go.
    next: Instant,
}

impl Pace {
    /// Creates a pace of so many messages a second, in steps of `batch` at most. `None` means as fast as it goes.
    ///
    /// # Errors
    ///
    /// If the rate is 0.
    pub(super) fn new(rate: Option<u32>, batch: usize) -> Result<Self, Error> {
        let each = match rate {
            Some(0) => {
                return Err(Error::Config(
                    "a rate of 0 messages a second sends none: give 1 or more, or no rate"
                        .to_owned(),
                ));
            }
            Some(rate) => Duration::from_secs(1) / rate,
            None => Duration::ZERO,
        };
        // Ten steps a second, so that they go evenly.
        let batch = rate.map_or(batch, |rate| (rate as usize / 10).clamp(1, batch));
        Ok(Self {
            each,
            batch,
            next: Instant::now(),
        })
    }

    /// Returns how many may go at once.
    pub(super) fn batch(&self) -> usize {
        self.batch
    }

    /// Waits until the next may go, a second at most.
    pub(super) async fn wait(&self) {
        if !self.each.is_zero() {
            sleep_until(self.next).await;
        }
    }

    /// Notes that so many go now.
    pub(super) fn sent(&mut self, count: usize) {
        // Time in which none went is not made up for.
        self.next = self.next.max(Instant::now()) + self.each * count as u32;
    }
}
