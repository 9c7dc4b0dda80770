//! Delay steps: the few fixed delays of a broker that delays by queue or topic.

use std::time::Duration;

/// The fixed delays of a broker that delays a message by putting it elsewhere: RabbitMQ's delay queues, Kafka's retry topics.
///
/// Each queue or topic has one delay, so that no message waits behind one with a longer delay. A delay is rounded up to a step. A delay beyond
/// the longest step is waited for in several stays, and [`Step::left`] says what is left after this one.
///
/// ```
/// use std::time::Duration;
/// use loafer::broker::DelaySteps;
///
/// const STEPS: DelaySteps = DelaySteps::new(&[Duration::from_secs(1), Duration::from_secs(8), Duration::from_secs(60)]);
///
/// assert_eq!(STEPS.step(Duration::from_secs(3)).wait, Duration::from_secs(8));
/// let long = STEPS.step(Duration::from_secs(90));
/// assert_eq!((long.wait, long.left), (Duration::from_secs(60), Duration::from_secs(30)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DelaySteps {
    /// At least one. All are longer than zero, and each is longer than the one before.
    steps: &'static [Duration],
}

/// One stay in a queue or topic of [`DelaySteps`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// How long the message stays there: one of the steps.
    pub wait: Duration,
    /// What is left of the delay afterwards. Zero unless the delay is beyond the longest step.
    pub left: Duration,
}

impl DelaySteps {
    /// Creates steps from these delays, the shortest first.
    ///
    /// # Panics
    ///
    /// If there is no step, if one is zero, or if one is not longer than the one before. In a `const` that is an error of the compiler.
    #[must_use]
    pub const fn new(steps: &'static [Duration]) -> Self {
        assert!(!steps.is_empty(), "there must be a step");
        let (mut index, mut before) = (0, Duration::ZERO);
        while index < steps.len() {
            assert!(
                steps[index].as_nanos() > before.as_nanos(),
                "each step must be longer than the one before"
            );
            before = steps[index];
            index += 1;
        }
        Self { steps }
    }

    /// Returns the stay for a delay: the shortest step that is no shorter than the delay, or the longest step if the delay is beyond all of them.
    ///
    /// It is never zero, also for a delay of zero: what fails at once would be redelivered at once.
    #[must_use]
    pub fn step(&self, delay: Duration) -> Step {
        let longest = self.longest();
        let wait = self.iter().find(|step| *step >= delay);
        Step {
            wait: wait.unwrap_or(longest),
            left: delay.saturating_sub(longest),
        }
    }

    /// Returns the longest step.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.steps.last().copied().unwrap_or_default()
    }

    /// Returns all steps, the shortest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Duration> + use<> {
        self.steps.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STEPS: DelaySteps = DelaySteps::new(&[
        Duration::from_secs(1),
        Duration::from_secs(2),
        Duration::from_secs(4),
        Duration::from_secs(512),
        Duration::from_secs(960),
    ]);
    const SAME: [Duration; 2] = [Duration::from_secs(2); 2];
    const ZERO: [Duration; 1] = [Duration::ZERO];

    #[test]
    fn a_delay_is_rounded_up_to_a_step() {
        let rounded = |seconds: f64| STEPS.step(Duration::from_secs_f64(seconds));
        for (delay, expected) in [
            (0.0, 1.0),
            (0.3, 1.0),
            (1.0, 1.0),
            (1.1, 2.0),
            (3.0, 4.0),
            (512.0, 512.0),
            (513.0, 960.0),
            (900.0, 960.0),
            (960.0, 960.0),
        ] {
            let step = rounded(delay);
            assert_eq!(step.wait.as_secs_f64(), expected, "{delay}");
            assert_eq!(step.left, Duration::ZERO, "{delay}");
        }
    }

    #[test]
    #[should_panic(expected = "longer than the one before")]
    fn steps_must_grow() {
        _ = DelaySteps::new(&SAME);
    }

    #[test]
    #[should_panic(expected = "longer than the one before")]
    fn a_step_must_not_be_zero() {
        _ = DelaySteps::new(&ZERO);
    }

    proptest! {
        #[test]
        fn any_delay_ends_in_time_and_in_few_stays(millis in 0_u64..100_000_000) {
            let delay = Duration::from_millis(millis);
            let (mut waited, mut stays, mut left) = (Duration::ZERO, 0, delay);
            loop {
                let step = STEPS.step(left);
                prop_assert!(STEPS.iter().any(|known| known == step.wait));
                // No shorter step would do.
                prop_assert!(STEPS.iter().all(|known| known >= step.wait || known < left));
                waited += step.wait;
                stays += 1;
                left = step.left;
                if left.is_zero() {
                    break;
                }
            }
            prop_assert!(waited >= delay);
            let fewest = delay.as_millis().div_ceil(STEPS.longest().as_millis()).max(1);
            prop_assert_eq!(stays, fewest);
        }
    }
}
