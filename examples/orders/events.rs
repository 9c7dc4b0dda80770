//! What the shop tells, and its services hear.

use loafer::prelude::*;
use serde::{Deserialize, Serialize};

/// An order is closed: paid, and not to be changed any more.
#[derive(Clone, Debug, Serialize, Deserialize, Event)]
#[event(topic = "order.closed")]
pub(crate) struct OrderClosed {
    pub(crate) id: u64,
    pub(crate) customer: String,
    pub(crate) cents: u64,
}
