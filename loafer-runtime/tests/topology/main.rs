//! Where queues hang, and what is said of brokers: by code, the file and the environment, and in memory.

#![allow(
    clippy::unwrap_used,
    reason = "outside of a test function, a helper panics as one"
)]

mod configured;
mod exchanges;
mod in_memory;
mod kit;
mod sections;
