//! Which module names which: circles, and arrows against the declared order.
//!
//! A module names another one by `use` and by paths in its code. What is imported through a re-export, as `crate::X` where `lib.rs` says `pub use self::a::X`, is an arrow to the module that
//! defines it, and to those that the path says. Modules inside of a top-level module are parts of it; what is only in tests is left out.
//!
//! | module | what it is |
//! |---|---|
//! | `declared` | the arrows that are allowed: data |
//! | `scope` | what names a module binds |
//! | `imports` | `use` trees as flat lists |
//! | `resolve` | from a path to modules, through re-exports |
//! | `naming` | which modules the code of a module names |
//! | `tokens` | paths in macros |
//! | `graph` | circles |
//! | `krate` | the arrows between the top-level modules of a crate |
//! | `judge` | the arrows held against the rules |
//! | `fault` | what is against the rules |
//! | `report` | what was found |

mod declared;
mod fault;
mod graph;
mod imports;
mod judge;
mod krate;
mod naming;
mod report;
mod resolve;
mod scope;
#[cfg(test)]
mod tests;
mod tokens;

use self::krate::Arrows;
use super::{Error, Files, modules, packages};

pub use self::{
    declared::{MayName, Order, Others, RULES, Rules},
    fault::{Fault, Line},
    report::Report,
};

/// Reads all crates of a workspace and holds them against the rules.
///
/// # Errors
///
/// A manifest or a source can't be read or parsed.
pub fn check(files: &Files, rules: &Rules) -> Result<Report, Error> {
    let mut crates = Vec::new();
    let mut faults = Vec::new();
    for package in packages::of(files)? {
        judge::package(&package, rules, &mut faults);
        for root in package.roots(files) {
            let arrows = Arrows::of(&modules::load(files, &root)?);
            judge::modules(&arrows, rules, &mut faults);
            crates.push(arrows);
        }
    }
    faults.sort_by_key(|fault| !matches!(fault, Fault::Circle { .. }));
    Ok(Report { crates, faults })
}
