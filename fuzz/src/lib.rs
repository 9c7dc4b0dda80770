//! Fuzz targets on stable Rust, one a translator.
//!
//! No compiler says here which code an input reached. What guides instead is behaviour: an input that makes a translator say or give something it never
//! said or gave before is kept, and mutated further. `cargo xtask fuzz` runs the targets for minutes, `cargo test -p loafer-fuzz` for seconds.
//!
//! | module | what it is |
//! |---|---|
//! | `target` | what a target is |
//! | `targets` | the targets, and the list of them |
//! | `seen` | what an input made a translator do; errors that quote it |
//! | `corpus` | the inputs that are worth mutating, from `corpus/TARGET` on |
//! | `mutate` | one input made of others |
//! | `run` | the loop: mutate, decode, judge |
//! | `finding` | an input that went wrong, and how to repeat it |

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, reason = "a test that can't go on should fail")
)]

mod corpus;
mod finding;
mod mutate;
mod run;
mod seen;
mod target;
mod targets;

pub use self::{
    finding::Finding,
    run::{Fuzz, Runs},
    seen::{MARKER, NUMBER, Seen},
    target::Target,
    targets::{ALL, named},
};
