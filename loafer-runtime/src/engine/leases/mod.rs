//! Leases: which there are, what renews them, what sees them lost, and what is handled and not yet acked.

pub(super) mod dedup;
pub(super) mod monitor;
pub(super) mod renewer;
pub(super) mod table;
