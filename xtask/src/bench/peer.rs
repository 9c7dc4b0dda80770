//! The peers in the benches: a workspace of its own with its own lock file, so that what they bring never meets ours.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::leash::Leashed;
use crate::workspace;

/// The package and executable of each peer in each bench.
#[derive(Clone, Copy, Debug)]
pub(super) enum Peer {
    RustStreamMemory,
    RustStreamSqs,
    ShoveMemory,
}

/// One way in which a peer runs.
#[derive(Debug)]
pub(super) struct Flow {
    /// As in the tables.
    name: &'static str,
    /// The arguments before the task.
    arguments: &'static [&'static str],
    /// Whether it takes batches, whose size follows those arguments.
    batched: bool,
    /// What it does, and what of Loafer's row it can't express.
    note: &'static str,
}

impl Peer {
    /// Its name in the tables.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::RustStreamMemory | Self::RustStreamSqs => "ruststream",
            Self::ShoveMemory => "shove",
        }
    }

    fn package(self) -> &'static str {
        match self {
            Self::RustStreamMemory => "peer-ruststream-memory",
            Self::RustStreamSqs => "peer-ruststream",
            Self::ShoveMemory => "peer-shove-memory",
        }
    }

    /// How it runs in the memory bench.
    fn flows(self) -> &'static [Flow] {
        match self {
            Self::RustStreamMemory => &[Flow {
                name: "ruststream",
                arguments: &[],
                batched: false,
                note: "one subscriber, as many workers as handlers may run; its messages come one by one, whatever Loafer's batch",
            }],
            Self::RustStreamSqs => &[],
            Self::ShoveMemory => &[
                Flow {
                    name: "shove",
                    arguments: &["message"],
                    batched: false,
                    note: "one consumer, a task for each message, as many at once as handlers may run; its messages come one by one, whatever Loafer's batch",
                },
                Flow {
                    name: "shove-batch",
                    arguments: &["batch"],
                    batched: true,
                    note: "as many consumers as handlers may run; each hands its handler a batch in one call, when it is full or 1 ms old: shove can't \
                           hand over at once what there is, so the last messages of a published burst wait; one outcome settles the batch",
                },
            ],
        }
    }

    /// Adds it to the arguments of the memory bench, once for each of its flows, and says what they are.
    pub(super) fn add_to(self, bench: &mut Command, program: &PathBuf) {
        for flow in self.flows() {
            println!("{}: {}", flow.name, flow.note);
            let kind = if flow.batched {
                "--batched-peer"
            } else {
                "--peer"
            };
            bench.args([kind, flow.name]).arg(program);
            bench.args(flow.arguments);
        }
    }
}

/// Builds it, in `target/peers`; `None` where that fails, and says so: it takes the network, and its dependencies a C compiler.
pub(super) fn build(peer: Peer) -> Option<PathBuf> {
    match program(peer.package()) {
        Ok(program) => Some(program),
        Err(error) => {
            println!("skipped: {}: {error:#}", peer.name());
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
