//! What only brokers know, and which brokers there are: options, settings and instances, by code, the file and the environment.

#![allow(
    clippy::unwrap_used,
    reason = "outside of a test function, a helper panics as one"
)]

mod configured;
mod exchanges;
mod foreign;
mod in_memory;
mod instances;
mod kit;
mod lifetime;
mod sections;
mod source;
mod spellings;
