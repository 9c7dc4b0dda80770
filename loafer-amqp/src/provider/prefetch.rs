//! The prefetch: how many messages RabbitMQ pushes before the first of them is settled. Only a broker that pushes has one.

use std::{
    ops::RangeInclusive,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use loafer_core::policy::Policy;
use tokio::time::Instant;

use crate::options::{Argument, Options};

/// How often the speed is looked at. So the prefetch changes at most once in that time.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// After how many looks in a row at half the speed or less the prefetch falls, so that a short pause costs nothing.
const SLOW_LOOKS: u32 = 5;

/// The largest prefetch: `basic.qos` has 16 bits for it.
const MOST: usize = u16::MAX as usize;

/// The bounds of a route's prefetch.
pub(super) struct Prefetch {
    /// How many messages handlers can hold at once.
    handled: usize,
    /// Whether it is the capacity, whatever the speed.
    fixed: bool,
    /// The capacity with which the route began.
    first: OnceLock<usize>,
    /// The capacity now. It is larger than the first one by what is held in place of a retry.
    capacity: AtomicUsize,
}

impl Prefetch {
    /// Returns the prefetch of a route whose capacity is this one until [`set_capacity`](Self::set_capacity) says another.
    pub(super) fn new(policy: &Policy, options: &Options, capacity: usize) -> Self {
        // Each change ends a consumer, and RabbitMQ would make another one the single active one.
        let single = options.arguments.get("x-single-active-consumer");
        Self {
            handled: policy
                .concurrency
                .saturating_mul(policy.batch.unwrap_or(1).max(1)),
            // Messages that wait for others of their group count, too, so that the speed does not tell how many are needed.
            fixed: policy.prefetch.is_some()
                || policy.group_by.is_some()
                || single == Some(&Argument::Bool(true)),
            first: OnceLock::new(),
            capacity: AtomicUsize::new(capacity),
        }
    }

    pub(super) fn set_capacity(&self, messages: usize) {
        _ = self.first.set(messages);
        self.capacity.store(messages, Ordering::Relaxed);
    }

    /// Returns the least prefetch, and the largest.
    pub(super) fn bounds(&self) -> RangeInclusive<usize> {
        let capacity = self.capacity.load(Ordering::Relaxed);
        let most = capacity.clamp(1, MOST);
        // Whoever sets no capacity may hold what they receive for as long as they like.
        let Some(first) = self.first.get().filter(|_| !self.fixed) else {
            return most..=most;
        };
        // What is held in place must not keep others from the handlers.
        let in_place = capacity.saturating_sub(*first);
        self.handled.saturating_add(in_place).clamp(1, most)..=most
    }
}

/// When the speed of a channel is looked at.
#[derive(Debug)]
pub(super) struct SpeedWatch {
    speed: Mutex<Speed>,
    began: Instant,
    /// The next look, in milliseconds from `began`. It is an atomic because it is read at each receive.
    next_look: AtomicU64,
}

impl SpeedWatch {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            speed: Mutex::new(Speed::new(0, now)),
            began: now,
            next_look: AtomicU64::new(LOOK.as_millis() as u64),
        }
    }

    /// Returns whether it is time to look.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let millis = now.saturating_duration_since(self.began).as_millis() as u64;
        let due = millis >= self.next_look.load(Ordering::Relaxed);
        if due {
            let next = millis + LOOK.as_millis() as u64;
            self.next_look.store(next, Ordering::Relaxed);
        }
        due
    }

    /// Looks at how many messages have been settled in all, as [`Speed::look`] says.
    pub(super) fn look(
        &self,
        now: Instant,
        settled: u64,
        bounds: &RangeInclusive<usize>,
    ) -> Option<usize> {
        self.speed().look(now, settled, bounds)
    }

    /// Takes down the prefetch of a new consumer.
    pub(super) fn set_prefetch(&self, prefetch: usize) {
        self.speed().set_prefetch(prefetch);
    }

    fn speed(&self) -> MutexGuard<'_, Speed> {
        self.speed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How fast the messages of one channel are settled, and the prefetch that follows from it.
#[derive(Debug)]
struct Speed {
    /// The prefetch of the consumer that runs.
    prefetch: usize,
    /// The last look.
    at: Instant,
    /// How many messages had been settled by then.
    settled: u64,
    /// How many of the last looks in a row saw half the prefetch or less.
    slow_looks: u32,
    /// What the fastest of them saw.
    fastest: usize,
}

impl Speed {
    /// Returns the speed of a channel on which nothing was settled yet.
    fn new(prefetch: usize, now: Instant) -> Self {
        Self {
            prefetch,
            at: now,
            settled: 0,
            slow_looks: 0,
            fastest: 0,
        }
    }

    fn set_prefetch(&mut self, prefetch: usize) {
        self.prefetch = prefetch;
        (self.slow_looks, self.fastest) = (0, 0);
    }

    /// Looks at how many messages have been settled in all. Returns the prefetch that the next consumer should have: what is settled in a second. `None`
    /// means that the present one is near enough: a change is not free.
    fn look(
        &mut self,
        now: Instant,
        settled: u64,
        bounds: &RangeInclusive<usize>,
    ) -> Option<usize> {
        let passed = now.saturating_duration_since(self.at).as_millis().max(1);
        let since = u128::from(settled.saturating_sub(self.settled));
        (self.at, self.settled) = (now, settled);
        let a_second = usize::try_from(since * 1000 / passed).unwrap_or(MOST);
        let wanted = a_second.clamp(*bounds.start(), *bounds.end());
        if wanted.saturating_mul(2) > self.prefetch {
            (self.slow_looks, self.fastest) = (0, 0);
            let near = wanted.saturating_mul(2) < self.prefetch.saturating_mul(3);
            return (!near || !bounds.contains(&self.prefetch)).then_some(wanted);
        }
        self.slow_looks += 1;
        self.fastest = self.fastest.max(wanted);
        (self.slow_looks >= SLOW_LOOKS || !bounds.contains(&self.prefetch)).then_some(self.fastest)
    }
}

#[cfg(test)]
mod tests {
    use loafer_core::policy::GroupBy;

    use super::*;

    /// Returns the prefetches that follow from what is settled in each second.
    fn followed(prefetch: &Prefetch, begin: usize, seconds: &[u64]) -> Vec<usize> {
        let mut now = Instant::now();
        let (mut speed, mut settled) = (Speed::new(begin, now), 0);
        let look = |a_second: &u64| {
            now += LOOK;
            settled += a_second;
            if let Some(next) = speed.look(now, settled, &prefetch.bounds()) {
                speed.set_prefetch(next);
            }
            speed.prefetch
        };
        seconds.iter().map(look).collect()
    }

    fn of(policy: &Policy) -> Prefetch {
        let prefetch = Prefetch::new(policy, &Options::new(), 100);
        prefetch.set_capacity(110);
        prefetch
    }

    #[test]
    fn it_follows_what_is_settled_in_a_second_up_and_down() {
        let of_route = of(&Policy::new("orders"));
        assert_eq!(of_route.bounds(), 10..=110);
        let followed = |seconds: &[u64]| followed(&of_route, 10, seconds);
        // Slow handlers share what is in the queue.
        assert_eq!(followed(&[5, 5, 0, 12]), [10; 4]);
        // Fast ones have all they can have at once.
        assert_eq!(followed(&[40, 200, 9_000, 70]), [40, 110, 110, 110]);
        // A pause is not the end of a rush.
        assert_eq!(
            followed(&[9_000, 0, 0, 0, 0, 9_000, 0]),
            [110; 7],
            "four slow seconds"
        );
        let slow = [9_000, 30, 20, 10, 0, 0, 0, 0];
        assert_eq!(followed(&slow), [110, 110, 110, 110, 110, 30, 30, 30]);
    }

    #[test]
    fn what_the_route_says_is_obeyed() {
        let none_set = Prefetch::new(&Policy::new("orders"), &Options::new(), 100);
        assert_eq!(none_set.bounds(), 100..=100);
        let mut policy = Policy::new("orders");
        policy.prefetch = Some(100);
        assert_eq!(of(&policy).bounds(), 110..=110);
        policy.prefetch = None;
        policy.batch = Some(5);
        assert_eq!(of(&policy).bounds(), 50..=110);
        policy.batch = Some(500);
        assert_eq!(of(&policy).bounds(), 110..=110);
        policy.batch = None;
        policy.group_by = Some(GroupBy::GROUP);
        assert_eq!(of(&policy).bounds(), 110..=110);
    }

    #[test]
    fn what_is_held_in_place_keeps_no_others_from_the_handlers() {
        let of_route = of(&Policy::new("orders"));
        of_route.set_capacity(130);
        assert_eq!(of_route.bounds(), 30..=130);
        assert_eq!(followed(&of_route, 10, &[0]), [30]);
        of_route.set_capacity(110);
        assert_eq!(of_route.bounds(), 10..=110);
    }
}
