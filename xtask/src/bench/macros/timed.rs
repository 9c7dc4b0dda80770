//! One build, and what it took.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::service;
use crate::leash;
use crate::workspace;

/// Runs a command, then says on its last line what the command and all it waited for took, as `0m1.500s 0m0.250s` of user and system.
const SCRIPT: &str = r#""$@"; status=$?; times; exit "$status""#;

/// What a build took, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    elapsed: f64,
    cpu: f64,
}

impl Times {
    pub(super) fn elapsed(&self) -> f64 {
        self.elapsed
    }

    /// On a busy machine what counts.
    pub(super) fn cpu(&self) -> f64 {
        self.cpu
    }
}

/// Touches a package and has it built.
pub(super) fn timed(folder: &Path, build: &str, package: &str) -> Result<Times> {
    let main = folder.join(package).join(service::MAIN);
    let touched = fs::read(&main).and_then(|source| fs::write(&main, source));
    touched.with_context(|| format!("can't touch {}", main.display()))?;
    let mut shell = leash::command("sh");
    shell
        .current_dir(folder)
        .args(["-c", SCRIPT, "sh"])
        .arg(workspace::cargo_program())
        .args([build, "--quiet", "-p", package])
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env("CARGO_INCREMENTAL", "0");
    let mut said = Vec::new();
    let begun = Instant::now();
    let status = leash::lines(shell, None, |line| said.push(line.to_owned()))?;
    let elapsed = begun.elapsed().as_secs_f64();
    let what = format!("`cargo {build} -p {package}` in {}", folder.display());
    if !status.success() {
        bail!("{what} ended with {status}:\n{}", said.join("\n"));
    }
    let cpu = said.last().and_then(|line| cpu(line));
    let cpu = cpu.with_context(|| format!("the shell did not tell the CPU time of {what}"))?;
    Ok(Times { elapsed, cpu })
}

/// User and system time together, of `0m1.500s 0m0.250s`.
fn cpu(line: &str) -> Option<f64> {
    let (user, system) = line.split_once(' ')?;
    Some(seconds(user)? + seconds(system)?)
}

fn seconds(time: &str) -> Option<f64> {
    let (minutes, seconds) = time.strip_suffix('s')?.split_once('m')?;
    Some(minutes.parse::<f64>().ok()? * 60.0 + seconds.parse::<f64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_system_time_are_added() {
        assert_eq!(cpu("1m1.500s 0m0.250s"), Some(61.75));
        assert_eq!(cpu("warning: unused"), None);
    }
}
