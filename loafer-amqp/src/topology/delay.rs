//! The ladder: fixed delays, each a queue in which retries wait. One delay for a whole queue, so that none waits behind a longer one.

use std::time::Duration;

/// The longest delay of a retry.
pub(crate) const LONGEST: Duration = Duration::from_secs(16 * 60);

/// How many rungs double the first; the last is [`LONGEST`].
const DOUBLINGS: u32 = 10;

/// The rung for a delay: never shorter than it, and never nothing, since what fails at once would come back at once.
pub(crate) fn rung(delay: Duration) -> Duration {
    rungs().find(|rung| *rung >= delay).unwrap_or(LONGEST)
}

/// All of them, the shortest first.
pub(crate) fn rungs() -> impl Iterator<Item = Duration> {
    let doubled = (0..DOUBLINGS).map(|doublings| Duration::from_secs(1 << doublings));
    doubled.chain([LONGEST])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_rounded_up_to_a_rung() {
        let rungs = |seconds: f64| rung(Duration::from_secs_f64(seconds)).as_secs_f64();
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
            assert_eq!(rungs(delay), expected, "{delay}");
        }
    }
}
