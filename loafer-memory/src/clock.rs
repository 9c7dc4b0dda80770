//! Moments far ahead.

use std::time::Duration;

use tokio::time::Instant;

/// What stands for a moment that no clock reaches.
const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);

/// Returns the moment this long from now. A duration may be anything, the longest included.
pub(crate) fn after(delay: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(delay).unwrap_or(now + FAR)
}
