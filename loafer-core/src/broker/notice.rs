//! What a broker tells by itself.

/// What a broker tells by itself, between calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Leases ended before their time, as those of a connection that broke: [`Provider::is_live`](crate::broker::Provider::is_live) says which. Their
    /// handlers are cancelled.
    LeasesLost,
}
