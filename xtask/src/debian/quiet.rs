//! The quiet of an installation: Debian starts the service of a package it installs, and a broker of the system is not ours to start.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::leash;

/// What Debian's maintainer scripts ask before they start, stop or restart a service.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// By which a file that a killed run left is known.
const MARK: &str = "Made by `cargo xtask`";

/// Long enough for a shell script.
const LIMIT: Duration = Duration::from_secs(10);

/// While it lives, no service is started by an installation.
#[derive(Debug)]
pub(super) struct Quiet {
    /// The policy we made; none where the owner's own says the same.
    made: Option<PathBuf>,
}

impl Quiet {
    /// Forbids `service` to start. A policy of the machine's owner is asked, never replaced.
    pub(super) fn keep(service: &str) -> Result<Self> {
        Self::at(Path::new(POLICY), service)
    }

    fn at(policy: &Path, service: &str) -> Result<Self> {
        let found = fs::read_to_string(policy);
        if found.is_ok_and(|found| !found.contains(MARK)) {
            if !denies(policy, service)? {
                let policy = policy.display();
                bail!("{policy} would let {service} start: install the package yourself");
            }
            return Ok(Self { made: None });
        }
        // It denies for as long as this process lives: a run that was killed leaves it without effect.
        let text = format!(
            "#!/bin/sh\n# {MARK}; of no effect after it, and may be removed.\n[ -d /proc/{} ] && exit 101\nexit 0\n",
            process::id()
        );
        let told = || format!("can't write {}", policy.display());
        fs::write(policy, text).with_context(told)?;
        let quiet = Self {
            made: Some(policy.to_owned()),
        };
        fs::set_permissions(policy, Permissions::from_mode(0o755)).with_context(told)?;
        Ok(quiet)
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if let Some(made) = &self.made {
            // Left in place it does nothing once we have ended.
            let _ = fs::remove_file(made);
        }
    }
}

/// Whether the policy says "forbidden by policy" of the start.
fn denies(policy: &Path, service: &str) -> Result<bool> {
    let mut ask = leash::command(policy);
    ask.args([service, "start"]);
    let answer = leash::lines(ask, Some(LIMIT), |_| ());
    let answer = answer.with_context(|| format!("can't ask {}", policy.display()))?;
    Ok(answer.code() == Some(101))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(name: &str, text: Option<&str>) -> Result<PathBuf> {
        let policy = std::env::temp_dir().join(format!("loafer-{name}-{}", process::id()));
        if let Some(text) = text {
            fs::write(&policy, text)?;
            fs::set_permissions(&policy, Permissions::from_mode(0o755))?;
        }
        Ok(policy)
    }

    fn comes_and_goes(policy: &Path) -> Result<()> {
        let quiet = Quiet::at(policy, "some-server")?;
        assert!(denies(policy, "some-server")?);
        drop(quiet);
        assert!(!policy.exists());
        Ok(())
    }

    #[test]
    fn a_service_is_denied_until_the_end_and_nothing_stays() -> Result<()> {
        let policy = policy("none", None)?;
        comes_and_goes(&policy)
    }

    #[test]
    fn what_a_killed_run_left_is_replaced() -> Result<()> {
        let left = format!("#!/bin/sh\n# {MARK}\nexit 0\n");
        let policy = policy("left", Some(&left))?;
        comes_and_goes(&policy)
    }

    #[test]
    fn the_owners_policy_is_asked_and_stays() -> Result<()> {
        let denying = policy(
            "denying",
            Some("#!/bin/sh\n[ \"$*\" = \"some-server start\" ] && exit 101\n"),
        )?;
        drop(Quiet::at(&denying, "some-server")?);
        let allowing = policy("allowing", Some("#!/bin/sh\nexit 0\n"))?;
        let refused = Quiet::at(&allowing, "some-server").map_err(|error| error.to_string());
        assert!(refused.is_err_and(|error| error.contains("would let some-server start")));
        for policy in [denying, allowing] {
            fs::remove_file(policy)?;
        }
        Ok(())
    }
}
