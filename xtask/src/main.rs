//! The tasks of this workspace: `cargo xtask test`, `stress`, `soak`, `ledger`, `proof`, `servers`, `fuzz`, `loom`, `simulate`, `bench`.
//!
//! | module | what it is |
//! |---|---|
//! | `cli` | the command line |
//! | `test` | the whole test run: servers up, test binaries side by side, one summary line; and the stress |
//! | `soak` | the fault test, for long |
//! | `proof` | what is too long for CI, the kill ledger among it, and its results |
//! | `servers` | real brokers as local processes: install, start, stop |
//! | `fuzz` | the fuzz targets, and what is left of a target that died |
//! | `simulate` | the simulation, and the sabotages that it must find |
//! | `loom` | the search of the scheduler, built with locks of its own |
//! | `rules` | the rules that the sources keep |
//! | `bench` | benches, and the counts that gate |
//! | `leash` | child processes which can't outlive this one |
//! | `debian` | programs of the system, installed where that is possible |
//! | `workspace` | where things are |

mod bench;
mod cli;
mod debian;
mod fuzz;
mod leash;
mod loom;
mod proof;
mod rules;
mod servers;
mod simulate;
mod soak;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match cli::Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
