//! The delay of a retry.

use std::{fmt, time::Duration};

/// The delay of a retry. It grows with the attempts.
///
/// ```
/// # use std::time::Duration;
/// use loafer::policy::Backoff;
///
/// let backoff = Backoff::new(Duration::from_secs(1)).with_jitter(false);
/// assert_eq!(backoff.delay(1), Duration::from_secs(1));
/// assert_eq!(backoff.delay(4), Duration::from_secs(8));
/// assert_eq!(backoff.delay(40), Duration::from_secs(15 * 60));
///
/// let rare = Backoff::new(Duration::from_secs(3600)).with_jitter(false);
/// assert_eq!(rare.delay(1), Duration::from_secs(3600));
/// assert_eq!(rare.delay(2), Duration::from_secs(3600));
/// ```
#[derive(Clone, PartialEq)]
pub struct Backoff {
    initial: Duration,
    factor: f64,
    /// `None` means 15 minutes, or `initial` if that is longer.
    max: Option<Duration>,
    jitter: bool,
}

fn default_factor() -> f64 {
    2.0
}

/// The longest delay, unless another one is set or the first delay is longer.
const MAX: Duration = Duration::from_secs(15 * 60);

fn default_jitter() -> bool {
    true
}

impl Backoff {
    /// Returns a backoff whose first delay is `initial` and which doubles with every attempt, up to 15 minutes, with jitter. If `initial` is longer
    /// than 15 minutes, every delay is `initial`.
    pub fn new(initial: Duration) -> Self {
        Self {
            initial,
            factor: default_factor(),
            max: None,
            jitter: default_jitter(),
        }
    }

    /// Sets the factor by which each delay is longer than the one before. The default is 2, and less than 1 counts as 1.
    #[must_use]
    pub fn with_factor(mut self, factor: f64) -> Self {
        self.factor = factor;
        self
    }

    /// Sets the longest delay. If it is shorter than the first delay, the program does not start.
    #[must_use]
    pub fn with_max(mut self, max: Duration) -> Self {
        self.max = Some(max);
        self
    }

    /// Sets whether there is full jitter: each delay is then chosen evenly between zero and what it would be without jitter. The default is
    /// `true`.
    #[must_use]
    pub fn with_jitter(mut self, jitter: bool) -> Self {
        self.jitter = jitter;
        self
    }

    /// Returns the first delay.
    #[must_use]
    pub fn initial(&self) -> Duration {
        self.initial
    }

    /// Returns the factor by which each delay is longer than the one before.
    #[must_use]
    pub fn factor(&self) -> f64 {
        self.factor
    }

    /// Returns the longest delay that was set. `None` means that none was set.
    #[must_use]
    pub fn max(&self) -> Option<Duration> {
        self.max
    }

    /// Returns whether there is full jitter.
    #[must_use]
    pub fn has_jitter(&self) -> bool {
        self.jitter
    }

    /// Returns the delay beyond which delays do not grow.
    fn ceiling(&self) -> Duration {
        self.max.unwrap_or_else(|| MAX.max(self.initial))
    }

    /// Returns the longest delay that can occur.
    #[must_use]
    pub fn longest(&self) -> Duration {
        if self.factor > 1.0 {
            self.ceiling()
        } else {
            self.initial.min(self.ceiling())
        }
    }

    /// Returns the delay after this attempt has failed. The first attempt is 1. With jitter the delay is random.
    pub fn delay(&self, attempt: u32) -> Duration {
        let grown = self.initial.as_secs_f64()
            * self
                .factor
                .max(1.0)
                .powi(attempt.saturating_sub(1).min(1_000) as i32);
        let delay = grown.min(self.ceiling().as_secs_f64());
        let delay = if self.jitter {
            delay * fastrand::f64()
        } else {
            delay
        };
        Duration::try_from_secs_f64(delay).unwrap_or_else(|_| self.ceiling())
    }
}

impl fmt::Debug for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backoff")
            .field("initial", &self.initial)
            .field("factor", &self.factor)
            .field("max", &self.ceiling())
            .field("jitter", &self.jitter)
            .finish()
    }
}
