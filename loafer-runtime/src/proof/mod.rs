//! Proofs of the scheduler by random schedules of its real code.
//!
//! They stand apart from the engine, which they only call. No runtime runs the tasks here: a schedule decides who is polled next, and a task
//! that was not woken is never polled.

mod schedules;
