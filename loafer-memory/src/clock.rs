//! Moments far ahead.

use std::time::Duration;

use tokio::time::Instant;

/// How far away a moment is that no program reaches: 30 years.
const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);

/// Returns the moment this long from now. A duration that no clock can add stands for [`FAR`].
pub(crate) fn after(delay: Duration) -> Instant {
    later(Instant::now(), delay)
}

/// Returns the moment this much later. A duration that no clock can add stands for [`FAR`].
pub(crate) fn later(than: Instant, by: Duration) -> Instant {
    than.checked_add(by).unwrap_or(than + FAR)
}
