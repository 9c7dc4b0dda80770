//! What the macros' expansions call. Users do not call it.

pub mod checks;
pub mod handlers;
pub mod replied;
pub mod returned;
pub mod topics;
