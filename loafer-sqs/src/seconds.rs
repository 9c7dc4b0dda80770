//! Durations in whole seconds, up to twelve hours. Only SQS counts leases and delays that way.

use std::time::Duration;

use loafer_core::Error;

/// The longest lease, counted from the receive (SQS API: `ChangeMessageVisibility`, 12 hours).
pub(crate) const CEILING: Duration = Duration::from_secs(43_200);
/// The part of the twelve hours that the way to SQS and back may have taken.
const MARGIN: Duration = Duration::from_secs(5);
/// The longest lease that we count on. It is shorter, so that SQS never ends a lease that we believe to hold.
pub(crate) const OURS: Duration = CEILING.saturating_sub(MARGIN);

/// Returns whole seconds, rounded up, so that a delay is never shorter than asked for.
pub(crate) fn up(duration: Duration) -> u64 {
    duration
        .as_secs()
        .saturating_add(u64::from(duration.subsec_nanos() > 0))
}

/// Returns a route's `lease` in seconds.
///
/// # Errors
///
/// Returns an error if it is 0 or more than twelve hours.
pub(crate) fn lease(route: &str, lease: Duration) -> Result<i32, Error> {
    match up(lease) {
        0 => Err(Error::Config(format!(
            "route `{route}`: `lease` is 0: on SQS it is 1 second to 12 hours; leave it out for the queue's own"
        ))),
        seconds if seconds <= CEILING.as_secs() => Ok(whole(seconds)),
        seconds => Err(Error::Config(format!(
            "route `{route}`: `lease` is {seconds} s: on SQS a message can be on lease for 12 hours at most"
        ))),
    }
}

/// Returns the delay of a message, rounded up. It is one that SQS can: 15 minutes at most.
pub(crate) fn delay(delay: Duration) -> i32 {
    whole(up(delay))
}

/// Returns a new visibility timeout for a message that was received `age` ago: what was asked for, rounded up, but no more than what is left
/// of the twelve hours.
pub(crate) fn visibility(asked: Duration, age: Duration) -> i32 {
    whole(up(asked).min(left(age)))
}

/// Returns how many whole seconds of the twelve hours are left to a message that was received `age` ago.
pub(crate) fn left(age: Duration) -> u64 {
    OURS.saturating_sub(age).as_secs()
}

/// Converts a number that is at most 43,200, so that it always fits.
fn whole(seconds: u64) -> i32 {
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_is_rounded_up() {
        assert_eq!(lease("r", Duration::from_millis(1)).ok(), Some(1));
        assert_eq!(lease("r", Duration::from_millis(29_001)).ok(), Some(30));
        assert_eq!(visibility(Duration::from_millis(1_500), Duration::ZERO), 2);
        assert_eq!(visibility(Duration::ZERO, Duration::ZERO), 0);
    }

    #[test]
    fn a_lease_is_one_second_to_twelve_hours() {
        assert_eq!(lease("r", CEILING).ok(), Some(43_200));
        assert!(lease("r", CEILING + Duration::from_nanos(1)).is_err());
        assert!(lease("r", Duration::ZERO).is_err());
        assert!(lease("r", Duration::MAX).is_err());
    }

    #[test]
    fn a_delay_ends_within_twelve_hours_of_the_receive() {
        let hour = Duration::from_secs(3600);
        assert_eq!(visibility(12 * hour, 11 * hour), 3595);
        assert_eq!(visibility(hour, 12 * hour), 0);
        assert_eq!(visibility(Duration::MAX, Duration::ZERO), 43_195);
        assert_eq!(visibility(hour, hour), 3600);
    }
}
