//! Moments far ahead.

use std::time::Duration;

use tokio::time::Instant;

/// How far away a moment is that no program reaches: 30 years.
const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);

/// Returns the moment this long from now. A duration that no clock can add stands for [`FAR`].
pub(crate) fn after(delay: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(delay).unwrap_or(now + FAR)
}
