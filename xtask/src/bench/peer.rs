//! The peer in the benches: a workspace of its own with its own lock file, so that what it brings never meets ours.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::leash::Leashed;
use crate::workspace;

/// As in the tables.
pub(super) const NAME: &str = "ruststream";

/// The package and executable of each bench.
#[derive(Clone, Copy, Debug)]
pub(super) enum Peer {
    Memory,
    Sqs,
}

impl Peer {
    fn package(self) -> &'static str {
        match self {
            Self::Memory => "peer-ruststream-memory",
            Self::Sqs => "peer-ruststream",
        }
    }
}

/// Builds it, in `target/peers`; `None` where that fails, and says so: it takes the network, and its dependencies a C compiler.
pub(super) fn build(peer: Peer) -> Option<PathBuf> {
    match program(peer.package()) {
        Ok(program) => Some(program),
        Err(error) => {
            println!("skipped: {NAME}: {error:#}");
            None
        }
    }
}

fn program(package: &str) -> Result<PathBuf> {
    let target = workspace::target().join("peers");
    let mut cargo = workspace::cargo();
    cargo
        .current_dir(workspace::root().join("benches/peers"))
        .args(["build", "--release", "--locked", "-p", package])
        .env("CARGO_TARGET_DIR", &target);
    let status = Leashed::spawn(cargo)?.wait(None)?;
    if !status.success() {
        bail!("`cargo build --release --locked -p {package}` in benches/peers ended with {status}");
    }
    Ok(target.join("release").join(package))
}
