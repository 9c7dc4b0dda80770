//! Whole apps on a faulty broker in virtual time: one seed makes a run, and a ledger judges it by the law.
//!
//! | module | what it is |
//! |---|---|
//! | [`dice`] | everything random, drawn from the seed |
//! | [`scenario`] | what a run is made of |
//! | [`ledger`] | what happens, and what is wrong with it |
//! | [`world`] | the faulty broker and the clock |
//! | [`user`] | handlers, layers and `on_error` functions |
//! | [`run`] | one run |
//! | [`transitions`] | how often the scheduler did what |
//! | [`campaign`] | many runs, on many threads |
//! | [`shrink`] | the smallest run that still fails |
//! | [`report`] | what is printed |

pub mod campaign;
pub mod dice;
pub mod ledger;
pub mod report;
pub mod run;
pub mod scenario;
pub mod shrink;
pub mod transitions;
pub mod user;
pub mod world;

/// A time in milliseconds: since the beginning of a run, or a duration.
pub type Millis = u64;
