//! Notices: a connection that is lost, and its return. Only a broker that pushes has any.

use std::{
    mem,
    sync::{Arc, MutexGuard, PoisonError, atomic::Ordering},
};

use loafer_core::{Error, broker::Notice};

use super::{
    AmqpProvider,
    receive::{self, ConsumerChannel},
};

/// What the engine knows of the connection, or is about to be told.
pub(super) enum Connection {
    Up,
    /// It is lost for this cause, which the engine was not told.
    Lost(String),
    Down,
}

impl AmqpProvider {
    /// Waits for a loss, or for the return after it.
    pub(super) async fn next_notice(&self) -> Notice {
        loop {
            if let Some(error) = self.newly_lost() {
                return Notice::Down(error);
            }
            let current = self.current().clone();
            let is_watched = |now: &Arc<ConsumerChannel>| now.is_live() || self.is_untold(now);
            let Some(consumer) = current.filter(is_watched) else {
                self.begun.notified().await;
                continue;
            };
            if matches!(
                mem::replace(&mut *self.connection(), Connection::Up),
                Connection::Down
            ) {
                return Notice::Up;
            }
            let watched = self.watched.swap(consumer.epoch, Ordering::Relaxed);
            // If another channel took the place of the watched one, the watched one is lost, whether or not it said so.
            if watched == 0 || watched == consumer.epoch {
                tokio::select! {
                    cause = consumer.ended() => *self.connection() = Connection::Lost(cause),
                    // Another consumer has begun, and may be the one to watch.
                    () = self.begun.notified() => continue,
                }
            }
            return Notice::LeasesLost;
        }
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        let connection = self.connection.lock();
        connection.unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the error of a connection that is lost, once.
    fn newly_lost(&self) -> Option<Error> {
        let mut connection = self.connection();
        let Connection::Lost(cause) = &mut *connection else {
            return None;
        };
        let cause = mem::take(cause);
        *connection = Connection::Down;
        Some(receive::lost(&self.plan.queue, cause))
    }

    /// Returns whether the consumer was lost after `notice` last waited for its end, so that `notice` has not told it.
    fn is_untold(&self, consumer: &ConsumerChannel) -> bool {
        consumer.epoch > 0
            && consumer.epoch == self.watched.load(Ordering::Relaxed)
            && matches!(*self.connection(), Connection::Up)
    }
}
