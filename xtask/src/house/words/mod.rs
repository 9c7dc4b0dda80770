//! Retired words in names that users see, and phrases that documentation does without.
//!
//! | module | what it is |
//! |---|---|
//! | `retired` | the words that name nothing any more: data |
//! | `phrases` | the phrases that documentation does without: data |
//! | `exceptions` | where they may stay, and why: data |
//! | `surface` | names and documentation of a crate |
//! | `matching` | whether a name has a retired word in it |
//! | `prose` | text without its examples, and phrases in it |
//! | `report` | what was found |

mod exceptions;
mod matching;
mod phrases;
mod prose;
mod report;
mod retired;
mod surface;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use self::matching::Name;
use self::phrases::PHRASES;
use self::prose::Prose;
use self::report::{Finding, Kind};
use self::surface::Entry;
use super::modules::{self, Location};
use super::packages::{self, Package};
use super::{Error, Files};

pub use self::{
    exceptions::{EXCEPTIONS, Exception},
    report::Report,
};

/// Reads the names and the documentation of a workspace, its README and its guides.
///
/// # Errors
///
/// A manifest or a source can't be read or parsed.
pub fn check(files: &Files, exceptions: &'static [Exception]) -> Result<Report, Error> {
    let packages = packages::of(files)?;
    let mut findings = Vec::new();
    for package in &packages {
        for root in package.roots(files) {
            for entry in surface::of(&modules::load(files, &root)?) {
                judge_name(&package.name, &entry, &mut findings);
                judge_docs(&package.name, &entry, &mut findings);
            }
        }
    }
    judge_files(files, &packages, &mut findings);
    judge_documents(files, &mut findings);
    findings.sort_by(|one, other| one.at.cmp(&other.at));
    Ok(excuse(findings, exceptions))
}

fn judge_name(owner: &str, entry: &Entry, findings: &mut Vec<Finding>) {
    let Some(name) = &entry.name else {
        return;
    };
    let name = Name {
        name,
        of: entry.of.as_deref(),
        is_module: entry.is_module,
    };
    let within = match &entry.of {
        Some(of) => format!("{of}::{}", name.name),
        None => name.name.to_owned(),
    };
    for retired in retired::all() {
        if let Some(word) = retired.found_in(name) {
            findings.push(Finding {
                at: entry.at.clone(),
                kind: Kind::Name,
                is_public: entry.is_public,
                word,
                within: within.clone(),
                instead: retired.instead,
                owner: owner.to_owned(),
            });
        }
    }
}

fn judge_docs(owner: &str, entry: &Entry, findings: &mut Vec<Finding>) {
    let lines = entry.docs.iter().map(|(line, text)| (*line, text.as_str()));
    let prose = Prose::of(&entry.at.file, lines);
    let is_public = entry.is_public && !entry.is_hidden;
    judge_prose(owner, &prose, is_public, findings);
}

fn judge_prose(owner: &str, prose: &Prose, is_public: bool, findings: &mut Vec<Finding>) {
    for phrase in PHRASES {
        for found in prose.find(phrase) {
            findings.push(Finding {
                at: found.at,
                kind: Kind::Phrase,
                is_public,
                word: phrase.phrase,
                within: found.around,
                instead: phrase.instead,
                owner: owner.to_owned(),
            });
        }
    }
}

/// Judges the names of files and folders that are no modules of a crate: tests, examples, guides.
fn judge_files(files: &Files, packages: &[Package], findings: &mut Vec<Finding>) {
    let mut seen = BTreeSet::new();
    for path in files.paths().filter(|path| !path.ends_with(".toml")) {
        let owner = owner_of(path, packages);
        let parts: Vec<&str> = path.split('/').collect();
        let is_module = parts.contains(&"src");
        for (at, part) in parts.iter().enumerate() {
            let is_new = seen.insert(parts[..=at].join("/"));
            let name = part.split('.').next().unwrap_or_default();
            if is_new && !is_module {
                let file = Entry {
                    at: Location {
                        file: path.to_owned(),
                        line: 1,
                    },
                    name: Some(name.to_owned()),
                    of: None,
                    is_module: true,
                    is_public: true,
                    is_hidden: false,
                    docs: Vec::new(),
                };
                judge_name(owner, &file, findings);
            }
        }
    }
}

/// The package that a file is of, or the file itself where it is of none.
fn owner_of<'a>(path: &'a str, packages: &'a [Package]) -> &'a str {
    let has = |package: &&Package| !package.folder.is_empty() && path.starts_with(&package.folder);
    packages.iter().find(has).map_or(path, |it| &it.name)
}

/// Judges the README and the guides.
fn judge_documents(files: &Files, findings: &mut Vec<Finding>) {
    let is_document = |path: &&str| {
        *path == "README.md" || (path.starts_with("guides/") && path.ends_with(".md"))
    };
    for path in files.paths().filter(is_document) {
        let text = files.text(path).unwrap_or_default();
        let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
        judge_prose(path, &Prose::of(path, lines), true, findings);
    }
}

/// Takes out what an exception allows.
fn excuse(mut findings: Vec<Finding>, exceptions: &'static [Exception]) -> Report {
    let excuses = |exception: &Exception, it: &Finding| {
        exception.file == it.at.file
            && exception.word == it.word
            && it.within.contains(exception.within)
    };
    let is_stale = |exception: &&Exception| {
        let is_needed = |it: &Finding| it.is_public && excuses(exception, it);
        !findings.iter().any(is_needed)
    };
    let stale = exceptions.iter().filter(is_stale).collect();
    findings.retain(|it| !exceptions.iter().any(|exception| excuses(exception, it)));
    Report { findings, stale }
}
