//! Cases by brokers, as a table in Markdown.

use std::fmt;

use super::{BrokerProfile, Case, Report, Verdict, cases};

/// Cases by brokers, as a table in Markdown. Below it are the reasons of what does not apply.
///
/// A matrix of profiles shows what should be, and one of reports what was seen. If both are equal, a README that shows the first is proved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matrix {
    columns: Vec<(String, Vec<Option<Verdict>>)>,
}

impl Matrix {
    /// Returns the matrix of what these brokers declare: all that is not declared missing holds.
    pub fn declared<'d>(declarations: impl IntoIterator<Item = &'d BrokerProfile>) -> Self {
        let mut matrix = Self::default();
        for declaration in declarations {
            matrix.add(declaration.name(), |case| {
                let excuse = declaration.excuses(case);
                Some(excuse.map_or(Verdict::Passed, |reason| {
                    Verdict::NotApplicable(reason.to_owned())
                }))
            });
        }
        matrix
    }

    fn add(&mut self, name: &str, verdict: impl Fn(&Case) -> Option<Verdict>) {
        self.columns
            .push((name.to_owned(), cases().iter().map(verdict).collect()));
    }

    /// The reasons, each once, and the brokers it holds for.
    fn reasons(&self) -> Vec<(&str, Vec<&str>)> {
        let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
        for (name, verdicts) in &self.columns {
            for reason in verdicts.iter().flatten().filter_map(Verdict::reason) {
                match reasons.iter_mut().find(|(known, _)| *known == reason) {
                    Some((_, names)) if names.contains(&name.as_str()) => {}
                    Some((_, names)) => names.push(name),
                    None => reasons.push((reason, vec![name])),
                }
            }
        }
        reasons
    }
}

impl<'r> FromIterator<&'r Report> for Matrix {
    fn from_iter<I: IntoIterator<Item = &'r Report>>(reports: I) -> Self {
        let mut matrix = Self::default();
        for report in reports {
            let verdict_of = |case: &Case| {
                let mut verdicts = report.verdicts();
                let found = verdicts.find(|(known, _)| known.name == case.name);
                found.map(|(_, verdict)| verdict.clone())
            };
            matrix.add(report.declaration().name(), verdict_of);
        }
        matrix
    }
}

impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reasons = self.reasons();
        write!(f, "| case |")?;
        for (name, _) in &self.columns {
            write!(f, " {name} |")?;
        }
        writeln!(f, "\n|---|{}", "---|".repeat(self.columns.len()))?;
        for (row, case) in cases().iter().enumerate() {
            write!(f, "| {} |", case.name.replace('_', " "))?;
            for (_, verdicts) in &self.columns {
                match &verdicts[row] {
                    None => write!(f, " |")?,
                    Some(Verdict::Passed) => write!(f, " ✓ |")?,
                    Some(Verdict::Failed(_)) => write!(f, " **failed** |")?,
                    Some(Verdict::NotApplicable(reason)) => {
                        let at = reasons.iter().position(|(known, _)| known == reason);
                        write!(f, " – ({}) |", at.unwrap_or_default() + 1)?;
                    }
                }
            }
            writeln!(f)?;
        }
        if !reasons.is_empty() {
            writeln!(f)?;
        }
        for (at, (reason, names)) in reasons.iter().enumerate() {
            writeln!(f, "{}. {}: {reason}", at + 1, names.join(", "))?;
        }
        Ok(())
    }
}
