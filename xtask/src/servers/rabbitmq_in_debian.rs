//! A RabbitMQ that this system's Debian has not, in a Debian of its own: a folder with the release that has it, entered by chroot.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{Ports, rabbitmq};
use crate::{debian, leash};

/// A release of Debian.
pub(super) struct Debian {
    name: &'static str,
    /// The script of debootstrap, where this system's does not know the release by name.
    script: Option<&'static str>,
}

/// It has RabbitMQ 4.0.
pub(super) const TRIXIE: Debian = Debian {
    name: "trixie",
    script: None,
};
/// It has RabbitMQ 4.3.
pub(super) const FORKY: Debian = Debian {
    name: "forky",
    script: Some("/usr/share/debootstrap/scripts/sid"),
};

/// For packages of an operating system.
const LIMIT: Duration = Duration::from_mins(15);

/// Where the package has its programs, in there.
const BIN: &str = "/usr/lib/rabbitmq/bin";

/// The script in there.
const INNER: &str = "/broker";

/// Enters, and runs the script in there. Mounts are in a namespace of their own, and end with it. Without /proc Erlang dies when it starts.
const ENTER: &str = r#"#!/bin/sh
set -eu
root=@ROOT@
mkdir -p "$DATA"
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
exec unshare --mount --propagation private sh -euc '
    root=$1
    shift
    mount --rbind /proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount --bind "$DATA" "$root/mnt"
    export DATA=/mnt
    exec chroot "$root" @INNER@ "$@"
' sh "$root" "$@"
"#;

impl Debian {
    pub(super) fn stamp(&self) -> String {
        format!("{} rabbitmq-server 1", self.name)
    }

    /// Fills a folder with the release, in a namespace: what is mounted meanwhile goes with it, even where this ends halfway.
    pub(super) fn install(&self, home: &Path) -> Result<()> {
        debian::need("debootstrap", "debootstrap")?;
        let (root, mirror, release) = (root(home), debian::mirror()?, self.name);
        let mut unshare = leash::command("unshare");
        unshare
            .args(["--mount", "--propagation", "private", "debootstrap"])
            .args(["--variant=minbase", "--include=rabbitmq-server", release])
            .arg(&root)
            .arg(&mirror)
            .args(self.script);
        debian::run(unshare, &format!("debootstrap {release} … {mirror}"), LIMIT)?;
        for packages in ["var/cache/apt/archives", "var/lib/apt/lists"] {
            let packages = root.join(packages);
            fs::remove_dir_all(&packages)
                .with_context(|| format!("can't remove {}", packages.display()))?;
        }
        // Or the node's name would be looked up in the network.
        let hosts = root.join("etc/hosts");
        fs::write(&hosts, "127.0.0.1 localhost\n")
            .with_context(|| format!("can't write {}", hosts.display()))
    }
}

/// Whether this process may mount and change its root.
pub(super) fn need() -> Result<()> {
    if !debian::is_root() {
        bail!("its folder is made and entered by root only");
    }
    let mut unshare = leash::command("unshare");
    unshare.args(["--mount", "--propagation", "private", "true"]);
    debian::run(unshare, "unshare --mount", LIMIT).context("mounts are not allowed here")
}

/// What starts one on these ports, with its files in `data`.
pub(super) fn command(home: &Path, data: &Path, ports: &Ports) -> Result<Command> {
    Ok(rabbitmq::serve(&script(home)?, data, ports))
}

/// A shell's command for tests that run their own.
pub(super) fn shell_command(home: &Path) -> Result<String> {
    Ok(format!("'{}'", script(home)?.display()))
}

fn script(home: &Path) -> Result<PathBuf> {
    let root = root(home);
    let inner = root.join(INNER.trim_start_matches('/'));
    rabbitmq::write(&inner, &rabbitmq::text(Path::new(BIN)))?;
    let script = home.join("broker");
    let enter = ENTER.replace("@ROOT@", &format!("'{}'", root.display()));
    rabbitmq::write(&script, &enter.replace("@INNER@", INNER))?;
    Ok(script)
}

fn root(home: &Path) -> PathBuf {
    home.join("root")
}
