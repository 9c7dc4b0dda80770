//! Moments far ahead.

use std::time::Duration;

use tokio::time::Instant;

/// What stands for a moment that no clock reaches.
const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);

/// The moment this long from now. A duration may be anything, the longest included.
pub(crate) fn after(delay: Duration) -> Instant {
    later(Instant::now(), delay)
}

/// The moment this much later.
pub(crate) fn later(than: Instant, by: Duration) -> Instant {
    than.checked_add(by).unwrap_or(than + FAR)
}
