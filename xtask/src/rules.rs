//! The rules that the sources keep, printed for one checkout.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use xtask::house::{Files, arrows, words};

use crate::workspace;

/// What `cargo xtask arrows` prints.
#[derive(Debug, Args)]
pub(crate) struct Arrows {
    #[command(flatten)]
    checkout: Checkout,
    /// Prints each arrow on a line of its own, with the first line of code that makes it
    #[arg(long)]
    lines: bool,
    /// Prints the circles between files, too, which are no faults
    #[arg(long)]
    files: bool,
}

/// What `cargo xtask words` prints.
#[derive(Debug, Args)]
pub(crate) struct Words {
    #[command(flatten)]
    checkout: Checkout,
    /// Prints the retired words that only the code has, too, which are no faults
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Args)]
struct Checkout {
    /// The root of the checkout; this one, unless told otherwise
    #[arg(value_name = "FOLDER")]
    root: Option<PathBuf>,
}

impl Checkout {
    fn files(&self) -> Result<Files> {
        let root = self.root.as_deref().unwrap_or(workspace::root());
        Ok(Files::read(root)?)
    }
}

/// Prints the arrows, then what is against the rules.
pub(crate) fn arrows(options: &Arrows) -> Result<ExitCode> {
    let report = arrows::check(&options.checkout.files()?, &arrows::RULES)?;
    match options.lines {
        true => print!("{}", report.lines()),
        false => print!("{report}"),
    }
    if options.files {
        print!("\n{}", report.circles_of_files());
    }
    let faults = report.faults().len();
    if faults == 0 {
        println!("\nno fault");
        return Ok(ExitCode::SUCCESS);
    }
    println!("\n{}\n\n{faults} faults", report.faults_in_words());
    Ok(ExitCode::FAILURE)
}

/// Prints the retired words, then how many there are where.
pub(crate) fn words(options: &Words) -> Result<ExitCode> {
    let report = words::check(&options.checkout.files()?, words::EXCEPTIONS)?;
    let faults = report.faults();
    for line in &faults {
        println!("{line}");
    }
    if options.all {
        for line in report.private() {
            println!("private: {line}");
        }
    }
    print!("\n{report}");
    match faults.is_empty() {
        true => Ok(ExitCode::SUCCESS),
        false => Ok(ExitCode::FAILURE),
    }
}
