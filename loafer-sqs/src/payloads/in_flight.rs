//! How many bytes of payloads from S3 one route holds at once. Other messages are small, and their number is bounded.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU32, Ordering},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One permit stands for so many bytes: permits are counted in 32 bits.
const UNIT: u64 = 1024;

/// The bytes of the payloads of one route. A payload takes its part before it is read, and keeps it until its message is settled.
pub(crate) struct InFlight {
    /// What is free, in [`UNIT`]s.
    free: Arc<Semaphore>,
    all: u32,
    /// What the payloads that came last took, in [`UNIT`]s: the largest of them. It grows at once, and fades with each message that takes less.
    usual: AtomicU32,
}

impl InFlight {
    pub(crate) fn new(bytes: u64) -> Self {
        let all = units(bytes).max(1);
        Self {
            free: Arc::new(Semaphore::new(all as usize)),
            all,
            usual: AtomicU32::new(0),
        }
    }

    /// Waits until there is room for one more payload, if payloads came before. Returns for how many of `max` there is room.
    ///
    /// What it returns is given back when the receive is over, unless a payload takes it: a receive asks for no more than fits.
    pub(crate) async fn room(&self, max: usize) -> (usize, Room) {
        let usual = self.usual.load(Ordering::Relaxed).min(self.all);
        if usual == 0 {
            return (max, Room::default());
        }
        let first = Arc::clone(&self.free).acquire_many_owned(usual).await;
        // The semaphore is never closed.
        let Ok(mut kept) = first else {
            return (max, Room::default());
        };
        let mut count = 1;
        while count < max
            && let Ok(more) = Arc::clone(&self.free).try_acquire_many_owned(usual)
        {
            kept.merge(more);
            count += 1;
        }
        (count, Room(Mutex::new(Some(kept))))
    }

    /// Waits until there is room for this payload, in what its receive keeps or beside it. A payload larger than all of it waits until no other is here.
    pub(crate) async fn take(&self, bytes: u64, room: &Room) -> Held {
        let wanted = units(bytes).clamp(1, self.all);
        self.came(wanted);
        let kept = room.split(wanted);
        let has = kept.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let lacking = wanted - u32::try_from(has).unwrap_or(wanted);
        let more = Arc::clone(&self.free).acquire_many_owned(lacking).await;
        Held(kept, more.ok())
    }

    /// Notes what a message took. 0 means that its payload was not on S3.
    pub(crate) fn came(&self, units: u32) {
        let faded = |usual: u32| Some(units.max(usual - usual.div_ceil(8)));
        _ = self
            .usual
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, faded);
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

/// What one receive keeps for the payloads that it may bring.
#[derive(Default)]
pub(crate) struct Room(Mutex<Option<OwnedSemaphorePermit>>);

impl Room {
    /// Takes so much of it, or what there is.
    fn split(&self, wanted: u32) -> Option<OwnedSemaphorePermit> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = kept.as_mut()?;
        kept.split(kept.num_permits().min(wanted as usize))
    }
}

/// The part of one payload, until it is dropped.
#[expect(dead_code, reason = "what is held is given back by its drop")]
pub(crate) struct Held(Option<OwnedSemaphorePermit>, Option<OwnedSemaphorePermit>);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn free(in_flight: &InFlight) -> usize {
        in_flight.free.available_permits()
    }

    #[tokio::test]
    async fn a_receive_asks_for_as_many_as_fit_once_their_size_is_known() {
        let in_flight = InFlight::new(10 * UNIT);
        let (max, room) = in_flight.room(10).await;
        assert_eq!(max, 10);
        let first = in_flight.take(3 * UNIT, &room).await;
        let (max, room) = in_flight.room(10).await;
        assert_eq!((max, free(&in_flight)), (2, 1));
        let second = in_flight.take(3 * UNIT - 1, &room).await;
        drop(room);
        assert_eq!(free(&in_flight), 4);
        drop((first, second));
        assert_eq!(free(&in_flight), 10);
    }

    #[tokio::test]
    async fn sizes_of_before_fade() {
        let in_flight = InFlight::new(100 * UNIT);
        drop(in_flight.take(100 * UNIT, &Room::default()).await);
        assert_eq!(in_flight.room(10).await.0, 1);
        for _ in 0..100 {
            in_flight.came(0);
        }
        assert_eq!(in_flight.room(10).await.0, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_larger_than_all_waits_until_it_is_alone() {
        let in_flight = InFlight::new(2 * UNIT);
        let room = Room::default();
        let small = in_flight.take(1, &room).await;
        let mut large = std::pin::pin!(in_flight.take(u64::MAX, &room));
        let waited = timeout(Duration::from_secs(60), &mut large).await;
        assert!(waited.is_err());
        drop(small);
        large.await;
    }
}
