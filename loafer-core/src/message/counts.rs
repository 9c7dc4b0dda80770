//! How often a message was delivered and tried.

/// Attempt and deliveries, in one word: messages are moved about, and two would show.
#[derive(Clone, Copy)]
pub(super) struct Counts(u64);

impl Counts {
    pub(super) const FIRST: Self = Self(1 << 32 | 1);

    #[inline]
    pub(super) fn attempt(self) -> u32 {
        self.0 as u32
    }

    #[inline]
    pub(super) fn deliveries(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Sets the attempt. Each one was delivered.
    #[inline]
    pub(super) fn with_attempt(self, attempt: u32) -> Self {
        let deliveries = self.deliveries().max(attempt);
        Self(u64::from(deliveries) << 32 | u64::from(attempt))
    }

    /// Counts one more delivery.
    #[inline]
    pub(super) fn plus_delivery(self) -> Self {
        Self(self.0 + (1 << 32))
    }

    /// Counts one more attempt, of a message that was delivered for it.
    #[inline]
    pub(super) fn plus_attempt(self) -> Self {
        Self(self.0 + 1)
    }

    /// Sets the deliveries, at least as many as the attempts.
    #[inline]
    pub(super) fn with_deliveries(self, deliveries: u32) -> Self {
        let attempt = self.attempt();
        Self(u64::from(deliveries.max(attempt)) << 32 | u64::from(attempt))
    }
}
