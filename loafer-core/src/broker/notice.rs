//! Notices: what a broker says between calls.

/// What a broker says between calls: see [`Provider::notice`](crate::broker::Provider::notice).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Leases were lost before their time, for example with a connection. [`Provider::is_live`](crate::broker::Provider::is_live) says which. The
    /// engine cancels their handlers.
    LeasesLost,
}
