//! The macros bench: what a handler's attribute adds to the time of a check and of a debug build.
//!
//! Three services are generated under `target/macros`: the same functions and types in each, in one of them with their attributes. Each is compiled as a whole, its
//! dependencies built before, without incremental state: with it a file that is only touched costs next to nothing. Judged is what the attributes add to the service
//! that decodes its types: decoding is serde's work, and there without Loafer, too. A function that nobody calls makes no code, so neither service without attributes
//! holds any for its functions' bodies: what they take in a debug build is counted with the attributes'.

mod service;
mod timed;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use super::gate::Gate;
use crate::workspace;
use service::Form;
use timed::{Times, timed};

/// What cargo is asked to do, what it is called in the table, and how many milliseconds a handler may add to it.
const BUILDS: [(&str, &str, f64); 2] = [("check", "check", 10.0), ("build", "debug build", 30.0)];

/// What is measured, and whether it is judged.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Handlers of the service
    #[arg(long, default_value_t = 500)]
    handlers: usize,
    /// How often each is built; the numbers are medians
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Fails where a handler adds more than its limit, for a quiet machine
    #[arg(long)]
    gate: bool,
}

/// Generates the services, builds them in turns, and prints what a handler adds.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let folder = workspace::target().join("macros");
    // Without a handler at first: the dependencies are built, and little else.
    generate(&folder, 0)?;
    for (build, _, _) in BUILDS {
        for form in Form::ALL {
            timed(&folder, build, form.package())?;
        }
    }
    generate(&folder, options.handlers)?;
    let mut gate = Gate::default();
    println!(
        "{} handlers, medians of {} rounds; CPU time is that of cargo and all it starts",
        options.handlers, options.rounds
    );
    for (build, name, limit) in BUILDS {
        let mut runs = Form::ALL.map(|_| Vec::new());
        for _ in 0..options.rounds.max(1) {
            for (form, runs) in Form::ALL.into_iter().zip(&mut runs) {
                runs.push(timed(&folder, build, form.package())?);
            }
        }
        let per_handler = 1000.0 / options.handlers.max(1) as f64;
        for (what, of) in [
            ("elapsed", Times::elapsed as fn(&Times) -> f64),
            ("CPU", Times::cpu),
        ] {
            let [plain, decoding, annotated] = runs.each_ref().map(|runs| Spread::of(runs, of));
            let over = |least: &Spread| (annotated.median - least.median) * per_handler;
            let (bare, added) = (over(&plain), over(&decoding));
            println!(
                "{name:<12} {what:<8} plain {plain}, decoding {decoding}, with attributes {annotated}: \
                 {added:.1} ms a handler (limit {limit}), {bare:.1} with the decoding"
            );
            gate.at_most(
                limit,
                added,
                &format!("{what} milliseconds a handler adds to a {name}"),
            );
        }
    }
    Ok(gate.verdict(options.gate))
}

/// A workspace of the packages, with the versions of ours.
fn generate(folder: &Path, handlers: usize) -> Result<()> {
    let write = |file: PathBuf, text: &str| {
        let made = file.parent().map_or(Ok(()), fs::create_dir_all);
        made.and_then(|()| fs::write(&file, text))
            .with_context(|| format!("can't write {}", file.display()))
    };
    write(folder.join("Cargo.toml"), service::WORKSPACE)?;
    let lock = fs::read_to_string(workspace::root().join("Cargo.lock"));
    write(
        folder.join("Cargo.lock"),
        &lock.context("can't read Cargo.lock")?,
    )?;
    for form in Form::ALL {
        let folder = folder.join(form.package());
        let main = folder.join(service::MAIN);
        let manifest = service::manifest(form.package(), workspace::root());
        write(folder.join("Cargo.toml"), &manifest)?;
        write(main, &service::source(handlers, form))?;
    }
    Ok(())
}

/// What several builds took, in seconds.
struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    fn of(runs: &[Times], of: impl FnMut(&Times) -> f64) -> Self {
        let mut seconds: Vec<_> = runs.iter().map(of).collect();
        seconds.sort_by(f64::total_cmp);
        Self {
            least: seconds[0],
            median: seconds[seconds.len() / 2],
            most: seconds[seconds.len() - 1],
        }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            least,
            median,
            most,
        } = self;
        write!(f, "{median:.2} s ({least:.2} to {most:.2})")
    }
}
