//! What a broker tells by itself.

/// What a broker tells by itself, between calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// Leases ended before their time, as those of a connection that broke: [`Provider::holds`](crate::Provider::holds) says which. Their
    /// handlers are cancelled.
    LeasesLost,
}
