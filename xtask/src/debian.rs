//! The programs of the system: found on the PATH, or installed where we may (root on Debian), or asked for.

use std::env;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};

use crate::leash;

/// Long enough for a slow mirror, short enough that a dead one is noticed.
const LIMIT: Duration = Duration::from_mins(15);

/// How many of its last lines tell what went wrong with a command.
const TAIL: usize = 20;

/// Makes sure that `program` is on the PATH, which Debian has in `package`.
pub(crate) fn need(program: &str, package: &str) -> Result<()> {
    if find(program).is_some() {
        return Ok(());
    }
    if !may_install() {
        bail!("`{program}` is not on the PATH: install it (Debian: `apt-get install {package}`)");
    }
    eprintln!("xtask: `{program}` is missing: installing the Debian package {package}");
    update()?;
    apt_get(&["install", "-y", "--no-install-recommends", package])?;
    if find(program).is_none() {
        bail!(
            "the package {package} is installed, yet `{program}` is not on the PATH: add its folder"
        );
    }
    Ok(())
}

/// Runs a quiet command within `limit`; what it says is shown only where it fails.
pub(crate) fn run(command: std::process::Command, what: &str, limit: Duration) -> Result<()> {
    let mut output = Vec::new();
    let status = leash::lines(command, Some(limit), |line| output.push(line.to_owned()));
    let cause = match status {
        Ok(status) if status.success() => return Ok(()),
        Ok(status) => anyhow!("{status}"),
        Err(error) => error,
    };
    let tail = output[output.len().saturating_sub(TAIL)..].join("\n  ");
    bail!("`{what}` failed: {cause:#}; its output ends\n  {tail}")
}

fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

fn may_install() -> bool {
    // The owner of /proc/self is the effective user of this process.
    let root = Path::new("/proc/self")
        .metadata()
        .is_ok_and(|own| own.uid() == 0);
    root && Path::new("/etc/debian_version").exists() && find("apt-get").is_some()
}

/// Updates the package lists, once a run: a fresh image has none.
fn update() -> Result<()> {
    static UPDATED: OnceLock<Result<(), String>> = OnceLock::new();
    let updated =
        UPDATED.get_or_init(|| apt_get(&["update"]).map_err(|error| format!("{error:#}")));
    updated.clone().map_err(anyhow::Error::msg)
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let mut command = leash::command("apt-get");
    command
        .args(["-q"])
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive");
    run(command, &format!("apt-get {}", arguments.join(" ")), LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_on_the_path_is_found_and_another_is_not() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program-anywhere").is_none());
    }

    #[test]
    fn a_failure_shows_the_end_of_the_output() {
        let mut command = leash::command("sh");
        command.args(["-c", "echo the disk is full; exit 3"]);
        let error = run(command, "fill", LIMIT).map_err(|error| error.to_string());
        let expected = "`fill` failed: exit status: 3; its output ends\n  the disk is full";
        assert_eq!(error, Err(expected.to_owned()));
    }
}
