//! Leases: the table of them, what renews them, what sees them lost, and the dedup of acks.

pub(super) mod dedup;
pub(super) mod monitor;
pub(super) mod renewer;
pub(super) mod table;
