//! The search of the scheduler: its crate with the locks of `loom`, in a target folder of its own, and the tests which are for that alone.

use std::process::ExitCode;

use anyhow::Result;

use crate::leash::Leashed;
use crate::workspace;

/// The `cfg` by which `loafer-runtime/src/sync.rs` takes the locks of `loom`. Not `loom` itself: tokio must stay as it is.
const CFG: &str = "--cfg loafer_loom";
/// The names of these tests begin with this. The other tests can't run in such a build.
pub(crate) const ALL: &str = "loom_";

/// Builds the search, and runs those of its tests whose names have `name` in them.
///
/// # Errors
///
/// If cargo does not start.
pub(crate) fn run(name: &str) -> Result<ExitCode> {
    let mut cargo = workspace::cargo();
    // Optimised, with the checks of the scheduler's invariants.
    cargo.args(["test", "-p", "loafer-runtime", "--lib"]);
    cargo.args(["--profile", "checked", "--", name]);
    cargo.env("RUSTFLAGS", CFG);
    // Other flags build everything anew: neither these builds nor others are to undo each other's work.
    cargo.env("CARGO_TARGET_DIR", workspace::target().join("loom"));
    Ok(match Leashed::spawn(cargo)?.wait(None)?.success() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
