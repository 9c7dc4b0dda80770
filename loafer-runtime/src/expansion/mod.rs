//! What the macros' expansions call. Not for people.

pub mod checks;
pub mod handlers;
pub mod replied;
pub mod returned;
