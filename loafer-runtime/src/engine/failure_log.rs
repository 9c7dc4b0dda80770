//! The log of messages that were not acked, and why. A test prints it when it fails.

use std::sync::{Arc, Mutex};

/// Lines about messages that were not acked.
pub(crate) type FailureLog = Arc<Mutex<Vec<String>>>;
