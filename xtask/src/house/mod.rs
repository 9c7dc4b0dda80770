//! The rules of the house, checked on the sources of a checkout.
//!
//! | module | what it is |
//! |---|---|
//! | [`arrows`] | which module names which, in circles or against the declared order |
//! | [`words`] | retired words in names and documentation |
//! | [`sizes`] | how long files are, how much the contract holds, how many names the root has |
//! | `files` | the texts of a checkout, or of a test |
//! | `packages` | the workspace's packages, and what they depend on |
//! | `modules` | the modules of a crate, with their items |
//! | `attributes` | what attributes say of an item |
//! | `error` | sources that can't be read |

pub mod arrows;
mod attributes;
mod error;
mod files;
mod modules;
mod packages;
pub mod sizes;
pub mod words;

pub use self::{error::Error, files::Files};
