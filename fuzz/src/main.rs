//! Runs the fuzz targets: `loafer-fuzz [TARGET]… [--minutes N]`.

use std::{fs, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, Result, bail};
use clap::Parser;
use loafer_fuzz::{ALL, Fuzz, Target, named};

/// Fuzzes the translators
#[derive(Debug, Parser)]
struct Cli {
    /// What to fuzz; every target, one after another, unless some are named
    targets: Vec<String>,
    /// For how long, each
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// Makes the inputs of an earlier run again
    #[arg(long)]
    seed: Option<u64>,
    /// Runs this file, and nothing else
    #[arg(long, value_name = "FILE", requires = "targets")]
    input: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("fuzz: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<ExitCode> {
    let time = Duration::try_from_secs_f64(cli.minutes * 60.0)
        .context("`--minutes` is no time: give a number from 0 on")?;
    let mut fuzz = Fuzz::lasting(time);
    fuzz.seed = cli.seed.unwrap_or(fuzz.seed);
    let mut code = ExitCode::SUCCESS;
    for target in targets(&cli.targets)? {
        let name = target.name();
        let finding = match &cli.input {
            Some(file) => {
                let input =
                    fs::read(file).with_context(|| format!("can't read {}", file.display()))?;
                let finding = fuzz.repeat(target, &input)?;
                if finding.is_none() {
                    println!("{name}: nothing is wrong with {}", file.display());
                }
                finding
            }
            None => {
                println!("{name}: {:?}, seed {}", fuzz.time, fuzz.seed);
                match fuzz.run(target)? {
                    Ok(runs) => {
                        let (inputs, behaviours) = (runs.inputs, runs.behaviours);
                        println!("{name}: {inputs} inputs, {behaviours} behaviours, no finding");
                        None
                    }
                    Err(finding) => Some(finding),
                }
            }
        };
        if let Some(finding) = finding {
            println!("FOUND {finding}");
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

fn targets(names: &[String]) -> Result<Vec<&'static dyn Target>> {
    if names.is_empty() {
        return Ok(ALL.to_vec());
    }
    let mut targets = Vec::new();
    for name in names {
        let Some(target) = named(name) else {
            let known: Vec<_> = ALL.iter().map(|target| target.name()).collect();
            bail!(
                "there is no target `{name}`: it is one of {}",
                known.join(", ")
            );
        };
        targets.push(target);
    }
    Ok(targets)
}
