//! How often the scheduler did what: a run of many seeds must have made it do everything.

/// Returns the transitions of the schedulers of this process, and how often each was made.
#[must_use]
pub fn counts() -> Vec<(&'static str, u64)> {
    loafer_runtime::__private::transitions()
}
