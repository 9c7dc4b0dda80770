//! Routes on the memory provider, under virtual time: what is acked, retried, given up, released.

mod at_once;
mod given_up;
mod lifetime;
mod outcomes;
