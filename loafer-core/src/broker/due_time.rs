//! [`DueTime`], the moment before which a message must not be handled.

use std::{
    sync::LazyLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::message::Message;

/// The moment before which a message must not be handled, in milliseconds since 1970.
///
/// A broker whose longest delay is too short writes it into the header [`DueTime::HEADER`], and delays the message for as long as it can. If the
/// message arrives early, the engine does not start it, but [defers](super::Settlement::Defer) it.
///
/// The methods take the moment of a monotonic clock, so that they follow the clock of tokio in tests: `tokio::time::Instant::now().into_std()`.
///
/// ```
/// use std::time::{Duration, Instant};
/// use loafer::{Message, broker::DueTime};
///
/// let now = Instant::now();
/// let due = DueTime::after(Duration::from_secs(3600), now);
/// let message = Message::new("{}").with_header(DueTime::HEADER, due.to_header());
/// assert_eq!(DueTime::of(&message), Some(due));
/// assert!(due.left(now) >= Duration::from_secs(3600));
/// assert!(due.left(now + Duration::from_secs(3601)).is_zero());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DueTime(u64);

/// How far the time of day may be from where the monotonic clock has it. A difference above it is a clock that was set, or a machine that slept.
const TOLERANCE: i128 = 1_000_000_000;

impl DueTime {
    /// The name of the header. Handlers do not see it.
    pub const HEADER: &'static str = "loafer-not-before";

    /// The longest delay, 366 days. A due time that is further away is not believed: the message counts as due. So a header that somebody forged
    /// delays one message by that much at most.
    pub const LONGEST: Duration = Duration::from_secs(366 * 86_400);

    /// Returns the moment this long after `now`, rounded up to a millisecond.
    #[must_use]
    pub fn after(delay: Duration, now: Instant) -> Self {
        let due = (time_of_day(now) + nanos(delay)).max(0) as u128;
        Self(u64::try_from(due.div_ceil(1_000_000)).unwrap_or(u64::MAX))
    }

    /// Reads the header of a message. `None` means that it has no such header, or one that can't be read.
    #[must_use]
    pub fn of(message: &Message) -> Option<Self> {
        message.headers().get(Self::HEADER)?.parse().ok().map(Self)
    }

    /// Returns the value of the header.
    #[must_use]
    pub fn to_header(self) -> String {
        self.0.to_string()
    }

    /// Returns how long the message has to wait at `now`. Zero means that it is due.
    #[must_use]
    pub fn left(self, now: Instant) -> Duration {
        let left = i128::from(self.0) * 1_000_000 - time_of_day(now);
        let left = Duration::from_nanos(u64::try_from(left.max(0)).unwrap_or(u64::MAX));
        match left > Self::LONGEST {
            true => Duration::ZERO,
            false => left,
        }
    }
}

/// Returns the time of day at a moment of the monotonic clock, in nanoseconds since 1970. The same moment has the same time, unless the time of day
/// was set meanwhile.
fn time_of_day(at: Instant) -> i128 {
    static BEGAN: LazyLock<(Instant, i128)> = LazyLock::new(|| (Instant::now(), since_1970()));
    let (began, time) = *BEGAN;
    let since = |moment: Instant| {
        nanos(moment.saturating_duration_since(began))
            - nanos(began.saturating_duration_since(moment))
    };
    let set = since_1970() - time - since(Instant::now());
    let set = if set.abs() < TOLERANCE { 0 } else { set };
    time + since(at) + set
}

fn since_1970() -> i128 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, nanos)
}

fn nanos(duration: Duration) -> i128 {
    i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX / 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_due_time_beyond_the_longest_delay_is_not_believed() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        assert!(
            !DueTime::after(DueTime::LONGEST - second, now)
                .left(now)
                .is_zero()
        );
        assert!(
            DueTime::after(DueTime::LONGEST + second, now)
                .left(now)
                .is_zero()
        );
        assert!(DueTime::after(Duration::MAX, now).left(now).is_zero());
        for forged in ["", "soon", "-5", "1e9", "99999999999999999999999"] {
            let message = Message::new("").with_header(DueTime::HEADER, forged);
            assert_eq!(DueTime::of(&message), None, "{forged}");
        }
    }

    proptest! {
        /// Stays of any length, one after another, each for what is left.
        #[test]
        fn a_chain_of_stays_ends_on_time(delay in 0_u64..31_000_000_000, longest in 1_u64..1_000_000_000) {
            let (delay, longest) = (Duration::from_millis(delay), Duration::from_millis(longest));
            let began = Instant::now();
            let due = DueTime::after(delay, began);
            let (mut now, mut stays) = (began, 0_u128);
            while !due.left(now).is_zero() {
                // Where many stays make it up, all but the last few are made at once.
                let whole = due.left(now).as_nanos() / longest.as_nanos();
                let at_once = whole.saturating_sub(3).max(1);
                now += match at_once {
                    1 => due.left(now).min(longest),
                    many => longest * u32::try_from(many).unwrap_or(u32::MAX),
                };
                stays += at_once;
            }
            prop_assert!(now - began >= delay);
            prop_assert!(now - began <= delay + Duration::from_millis(1));
            prop_assert!(stays <= delay.as_millis().div_ceil(longest.as_millis()) + 1);
        }
    }
}
