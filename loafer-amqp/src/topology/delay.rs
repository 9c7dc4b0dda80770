//! The fixed delays of the delay queues, which only RabbitMQ needs. Each queue has one delay, so that no message waits behind one with a longer delay.

use std::time::Duration;

/// The longest delay of a retry.
pub(crate) const LONGEST: Duration = Duration::from_secs(16 * 60);

/// How many steps double the one before, beginning with one second. The last step is [`LONGEST`].
const DOUBLINGS: u32 = 10;

/// Returns the step for a delay: the shortest that is no shorter than it. It is never zero, since what fails at once would be redelivered at once.
pub(crate) fn step(delay: Duration) -> Duration {
    steps().find(|step| *step >= delay).unwrap_or(LONGEST)
}

/// Returns all steps, the shortest first.
pub(crate) fn steps() -> impl Iterator<Item = Duration> {
    let doubled = (0..DOUBLINGS).map(|doublings| Duration::from_secs(1 << doublings));
    doubled.chain([LONGEST])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_rounded_up_to_a_step() {
        let rounded = |seconds: f64| step(Duration::from_secs_f64(seconds)).as_secs_f64();
        for (delay, expected) in [
            (0.0, 1.0),
            (0.3, 1.0),
            (1.0, 1.0),
            (1.1, 2.0),
            (3.0, 4.0),
            (512.0, 512.0),
            (513.0, 960.0),
            (900.0, 960.0),
        ] {
            assert_eq!(rounded(delay), expected, "{delay}");
        }
    }
}
