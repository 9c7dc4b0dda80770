//! How a broker did.

use std::{fmt, time::Duration};

use super::{BrokerProfile, Case};

/// How one case went.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It holds.
    Passed,
    /// It does not hold; this was seen.
    Failed(String),
    /// The broker declares that it can't, for this reason.
    NotApplicable(String),
}

impl Verdict {
    /// Returns why the case does not apply. `None` means that it applies.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::NotApplicable(reason) => Some(reason),
            Self::Passed | Self::Failed(_) => None,
        }
    }
}

/// How a broker did: a verdict for each case. It prints as a list, and several make a [`Matrix`](super::Matrix).
#[derive(Clone, Debug)]
#[must_use = "a report of failures fails nothing by itself"]
pub struct Report {
    declaration: BrokerProfile,
    verdicts: Vec<(&'static Case, Verdict, Duration)>,
}

impl Report {
    pub(super) fn new(
        declaration: BrokerProfile,
        verdicts: Vec<(&'static Case, Verdict, Duration)>,
    ) -> Self {
        Self {
            declaration,
            verdicts,
        }
    }

    /// Returns what the broker said of itself.
    pub fn declaration(&self) -> &BrokerProfile {
        &self.declaration
    }

    /// Returns every case that was asked for, and how it went.
    pub fn verdicts(&self) -> impl Iterator<Item = (&'static Case, &Verdict)> {
        self.verdicts
            .iter()
            .map(|(case, verdict, _)| (*case, verdict))
    }

    /// Returns the names of the cases that failed.
    pub fn failed(&self) -> Vec<&'static str> {
        let failed = self.verdicts();
        let failed = failed.filter(|(_, verdict)| matches!(verdict, Verdict::Failed(_)));
        failed.map(|(case, _)| case.name).collect()
    }

    /// Prints the report.
    ///
    /// # Panics
    ///
    /// If a case failed: with the whole report.
    #[track_caller]
    pub fn assert_passed(&self) {
        assert!(self.failed().is_empty(), "{self}");
        println!("{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "conformance of {}:", self.declaration.name())?;
        for (case, verdict, took) in &self.verdicts {
            let (name, took) = (case.name, took.as_secs_f64());
            match verdict {
                Verdict::Passed => writeln!(f, "  passed          {took:6.1} s  {name}")?,
                Verdict::Failed(why) => {
                    writeln!(f, "  FAILED          {took:6.1} s  {name}: {why}")?
                }
                Verdict::NotApplicable(why) => {
                    writeln!(f, "  not applicable            {name}: {why}")?
                }
            }
        }
        Ok(())
    }
}
