//! The simulation, and the sabotages that it must find.

mod sabotage;

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Result, bail};

use crate::leash::{self, Leashed};
use crate::workspace;

/// The profile of the root manifest, and so the folder cargo builds it into.
const PROFILE: &str = "checked";

/// The package, and its program.
const PACKAGE: &str = "loafer-simulation";

/// Builds the simulation and runs it with these arguments, or runs the sabotages.
pub(crate) fn run(arguments: &[OsString]) -> Result<ExitCode> {
    if let Some((first, names)) = arguments.split_first()
        && first == "--sabotage"
    {
        return sabotage::run(names);
    }
    let mut simulation = built()?;
    simulation.args(arguments);
    let status = Leashed::spawn(simulation)?.wait(None)?;
    match status.code() {
        Some(0) => Ok(ExitCode::SUCCESS),
        Some(1 | 2) => Ok(ExitCode::FAILURE),
        _ => bail!("the simulation ended with {status}"),
    }
}

/// Builds the simulation, and returns what runs so many seeds.
pub(crate) fn seeds(count: u64, first: Option<u64>) -> Result<Command> {
    let mut simulation = built()?;
    simulation.args(["--seeds", &count.to_string()]);
    if let Some(first) = first {
        simulation.args(["--from", &first.to_string()]);
    }
    Ok(simulation)
}

/// Builds the simulation.
fn built() -> Result<Command> {
    let mut cargo = workspace::cargo();
    cargo.args(["build", "--profile", PROFILE, "-p", PACKAGE]);
    if !Leashed::spawn(cargo)?.wait(None)?.success() {
        bail!("the simulation does not build: see the errors above");
    }
    let mut simulation = simulation(&workspace::target());
    simulation.current_dir(workspace::root());
    Ok(simulation)
}

/// Returns the simulation that was built into this folder.
fn simulation(target: &Path) -> Command {
    leash::command(target.join(PROFILE).join(PACKAGE))
}
