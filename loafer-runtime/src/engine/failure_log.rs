//! What was not acked, and why: a test that fails prints it.

use std::sync::{Arc, Mutex};

/// Lines on messages that were not acked.
pub(crate) type FailureLog = Arc<Mutex<Vec<String>>>;
