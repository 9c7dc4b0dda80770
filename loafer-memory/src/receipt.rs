//! What names one lease.

/// The receipt of one delivery. It names a lease until that lease ends.
#[derive(Clone, Copy, Debug)]
pub struct MemoryReceipt {
    /// The index at which the queue keeps the lease.
    pub(crate) index: u32,
    /// Tells this lease from others at the same index, which is used again once a lease has ended.
    pub(crate) serial: u64,
}
