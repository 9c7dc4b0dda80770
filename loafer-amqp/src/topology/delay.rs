//! The fixed delays of the delay queues. Other brokers delay messages where they are.

use std::time::Duration;

use loafer_core::broker::DelaySteps;

use crate::client::config::Config;

/// The delays, unless tests shorten them: each doubles the one before, and the last is longer than the longest backoff that is not set.
const STEPS: DelaySteps = DelaySteps::new(&[
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(16),
    Duration::from_secs(32),
    Duration::from_secs(64),
    Duration::from_secs(128),
    Duration::from_secs(256),
    Duration::from_secs(512),
    Duration::from_secs(16 * 60),
]);

/// Returns the delays of the delay queues of one RabbitMQ.
pub(crate) fn steps(config: &Config) -> DelaySteps {
    config.steps.unwrap_or(STEPS)
}
