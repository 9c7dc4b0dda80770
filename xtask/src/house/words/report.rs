//! What was found in a checkout.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use super::exceptions::Exception;
use crate::house::modules::Location;

/// A retired word.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) at: Location,
    pub(super) kind: Kind,
    /// Whether users and readers see it; if not, it is for information.
    pub(super) is_public: bool,
    pub(super) word: &'static str,
    /// The name that has it, or the words around it.
    pub(super) within: String,
    pub(super) instead: &'static str,
    /// The package, or the document.
    pub(super) owner: String,
}

/// What a retired word was found in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Name,
    Phrase,
}

/// The retired words of a checkout.
#[derive(Debug)]
pub struct Report {
    pub(super) findings: Vec<Finding>,
    pub(super) stale: Vec<&'static Exception>,
}

impl Report {
    /// Returns each fault on a line: retired words that users and readers see, and exceptions that nothing needs.
    pub fn faults(&self) -> Vec<String> {
        let seen = self.findings.iter().filter(|it| it.is_public);
        let stale = self.stale.iter().map(|it| stale(it));
        seen.map(Finding::to_string).chain(stale).collect()
    }

    /// Returns each retired word that only the code has on a line. They are for information, and no faults.
    pub fn private(&self) -> Vec<String> {
        let unseen = self.findings.iter().filter(|it| !it.is_public);
        unseen.map(Finding::to_string).collect()
    }
}

/// How many faults each package and document has.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut owners: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
        for finding in &self.findings {
            let counts = owners.entry(&finding.owner).or_default();
            let column = match (finding.is_public, finding.kind) {
                (true, Kind::Name) => 0,
                (true, Kind::Phrase) => 1,
                (false, _) => 2,
            };
            counts[column] += 1;
        }
        let mut text = row("", ["names", "phrases", "private"]);
        let mut total = [0; 3];
        for (owner, counts) in owners {
            text.push_str(&row(owner, counts));
            total = [0, 1, 2].map(|at| total[at] + counts[at]);
        }
        text.push_str(&row("all", total));
        if !self.stale.is_empty() {
            let _ = writeln!(text, "exceptions that nothing needs: {}", self.stale.len());
        }
        f.write_str(&text)
    }
}

fn row(owner: &str, [names, phrases, private]: [impl fmt::Display; 3]) -> String {
    format!("{owner:<28} {names:>8} {phrases:>8} {private:>8}\n")
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Location { file, line } = &self.at;
        let Self {
            word,
            within,
            instead,
            ..
        } = self;
        match self.kind {
            Kind::Name => write!(
                f,
                "{file}:{line}: `{within}` has `{word}` in it; say: {instead}"
            ),
            Kind::Phrase => write!(
                f,
                "{file}:{line}: \"{word}\" in \"{within}\"; say: {instead}"
            ),
        }
    }
}

fn stale(exception: &Exception) -> String {
    let Exception {
        file,
        word,
        within,
        reason,
    } = exception;
    format!(
        "{file}: nothing has \"{word}\" within \"{within}\" any more ({reason}): delete the exception in xtask/src/house/words/exceptions.rs"
    )
}
