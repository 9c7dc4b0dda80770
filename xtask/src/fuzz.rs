//! The fuzz targets, and what is left of a target that died.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::SystemTime;
use std::{fs, io};

use anyhow::{Context, Result, bail};

use crate::leash::{self, Leashed};
use crate::workspace;

/// The profile of the root manifest, and so the folder cargo builds it into.
const PROFILE: &str = "checked";

/// Builds the fuzzer and runs it with these arguments.
pub(crate) fn run(arguments: &[OsString]) -> Result<ExitCode> {
    let mut cargo = workspace::cargo();
    cargo.args(["build", "--profile", PROFILE, "-p", "loafer-fuzz"]);
    if !Leashed::spawn(cargo)?.wait(None)?.success() {
        bail!("the fuzz targets do not build: see the errors above");
    }
    let mut fuzzer = leash::command(workspace::target().join(PROFILE).join("loafer-fuzz"));
    fuzzer.args(arguments).current_dir(workspace::root());
    let began = SystemTime::now();
    let status = Leashed::spawn(fuzzer)?.wait(None)?;
    match status.code() {
        Some(0) => Ok(ExitCode::SUCCESS),
        Some(1 | 2) => Ok(ExitCode::FAILURE),
        _ => {
            save_what_ran(began).context("can't save the input that ran")?;
            bail!("the fuzzer ended with {status}")
        }
    }
}

/// A process that overflows its stack, or is killed, writes no finding. The inputs that ran are still there: one a target, and the last one is it.
fn save_what_ran(began: SystemTime) -> io::Result<()> {
    for folder in fs::read_dir(workspace::target().join("fuzz"))? {
        let folder = folder?;
        let current = folder.path().join("current");
        let is_of_this_run = fs::metadata(&current)
            .and_then(|file| file.modified())
            .is_ok_and(|time| time >= began);
        if is_of_this_run {
            let saved = folder.path().join("finding-died");
            fs::rename(&current, &saved)?;
            let target = folder.file_name();
            eprintln!(
                "FOUND {0}: the process died\nrepeat it: cargo xtask fuzz {0} --input {1}",
                target.display(),
                saved.display()
            );
        }
    }
    Ok(())
}
