//! Moments in the far future.

use std::time::Duration;

use tokio::time::Instant;

/// What stands for a moment that the clock can't express.
const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);

/// Returns the moment this long from now. Any duration is allowed, the longest included.
pub(crate) fn after(delay: Duration) -> Instant {
    later(Instant::now(), delay)
}

/// Returns the moment this much later. Any duration is allowed, the longest included.
pub(crate) fn later(than: Instant, by: Duration) -> Instant {
    than.checked_add(by).unwrap_or(than + FAR)
}
