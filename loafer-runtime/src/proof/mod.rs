//! Proofs of the scheduler by its real code: random schedules of it, and a search of every order where that is small.
//!
//! They stand apart from the engine, which they only call. No runtime runs the tasks here: a schedule decides who is polled next, and a task
//! that was not woken is never polled. `long_calls` alone runs a whole route.

#[cfg(not(loafer_loom))]
mod long_calls;
#[cfg(loafer_loom)]
mod loom;
#[cfg(not(loafer_loom))]
mod schedules;
