//! The programs of the system: found on the PATH, or installed where we may (root on Debian), or asked for.

mod quiet;

use std::env;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};

use crate::leash;
use quiet::Quiet;

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

/// The file of `package` with this end, which Debian has on no PATH. Where the package is missing it is installed,
/// without its service: that is not started, neither now nor with the next boot.
pub(crate) fn need_without_service(package: &str, end: &str) -> Result<PathBuf> {
    if let Some(file) = file_of(package, end) {
        return Ok(file);
    }
    if !may_install() {
        bail!("the Debian package {package} is missing: `apt-get install {package}`");
    }
    eprintln!("xtask: installing the Debian package {package}, without its service");
    update()?;
    let quiet = Quiet::keep(package)?;
    apt_get(&["install", "-y", "--no-install-recommends", package])?;
    let mut disable = leash::command("update-rc.d");
    disable.args([package, "disable"]);
    run(disable, &format!("update-rc.d {package} disable"), LIMIT)?;
    drop(quiet);
    file_of(package, end)
        .ok_or_else(|| anyhow!("the package {package} is installed, yet has no file {end}"))
}

/// The address of the mirror this system installs from.
pub(crate) fn mirror() -> Result<String> {
    let mut apt = leash::command("apt-get");
    apt.args(["indextargets", "--format", "$(REPO_URI)"])
        .args(["Created-By: Packages", "Label: Debian"]);
    let mut mirrors = Vec::new();
    let status = leash::lines(apt, Some(LIMIT), |line| mirrors.push(line.to_owned()))?;
    match mirrors.into_iter().find(|line| line.contains("://")) {
        Some(mirror) if status.success() => Ok(mirror),
        _ => bail!("apt-get knows no mirror of Debian: see /etc/apt/sources.list.d"),
    }
}

fn file_of(package: &str, end: &str) -> Option<PathBuf> {
    find("dpkg")?;
    let mut dpkg = leash::command("dpkg");
    dpkg.args(["--listfiles", package]);
    let mut files = Vec::new();
    let listed = leash::lines(dpkg, Some(LIMIT), |line| files.push(PathBuf::from(line)));
    let file = files.into_iter().find(|file| file.ends_with(end))?;
    (listed.is_ok_and(|status| status.success()) && file.is_file()).then_some(file)
}

/// Whether this is root on Debian, who may install.
fn may_install() -> bool {
    is_root() && Path::new("/etc/debian_version").exists() && find("apt-get").is_some()
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

/// Whether we may do anything.
pub(crate) fn is_root() -> bool {
    // The owner of /proc/self is the effective user of this process.
    Path::new("/proc/self")
        .metadata()
        .is_ok_and(|own| own.uid() == 0)
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
    fn a_file_of_a_package_is_found_by_its_end() {
        if find("dpkg").is_some() {
            assert_eq!(file_of("dpkg", "bin/dpkg"), Some("/usr/bin/dpkg".into()));
            assert_eq!(file_of("dpkg", "bin/no-such-program"), None);
            assert_eq!(file_of("no-such-package", "bin/dpkg"), None);
        }
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
