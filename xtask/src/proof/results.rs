//! Results that are committed: a file with a section for each thing that was run, of which a run replaces its own.

use std::fs;
use std::io::ErrorKind;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, bail};

use crate::workspace;

/// What a section begins with.
const SECTION: &str = "\n## ";

/// A file of results.
#[derive(Clone, Copy, Debug)]
pub(super) struct Results {
    /// From the root of the workspace.
    pub(super) file: &'static str,
    /// What it begins with.
    pub(super) head: &'static str,
}

impl Results {
    /// Writes a section, in place of that of the same name or behind the others.
    pub(super) fn put(&self, name: &str, text: &str) -> Result<()> {
        let path = workspace::root().join(self.file);
        let old = match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            old => old.with_context(|| format!("can't read {}", path.display()))?,
        };
        let new = with(self.head, &old, name, text);
        fs::write(&path, new).with_context(|| format!("can't write {}", path.display()))
    }
}

fn with(head: &str, old: &str, name: &str, text: &str) -> String {
    let section = format!("{name}\n\n{text}");
    let mut sections: Vec<&str> = old.split(SECTION).skip(1).collect();
    let of_it = |section: &&str| section.lines().next() == Some(name);
    match sections.iter().position(of_it) {
        Some(place) => sections[place] = &section,
        None => sections.push(&section),
    }
    let mut new = head.to_owned();
    for section in sections {
        new.push_str(SECTION);
        new.push_str(section.trim_end());
        new.push('\n');
    }
    new
}

/// Returns the date, in UTC.
pub(super) fn today() -> Result<String> {
    said("date", &["-u", "+%F"])
}

/// Returns the commit that the sources are at, and whether they were changed since.
pub(super) fn revision() -> Result<String> {
    said("git", &["describe", "--always", "--dirty"])
}

/// Returns what the machine is.
pub(super) fn machine() -> Result<String> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    Ok(format!("{cores} cores, {}", said("uname", &["-sm"])?))
}

fn said(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(workspace::root())
        .output()
        .with_context(|| format!("can't run {program}"))?;
    if !output.status.success() {
        bail!("{program} ended with {}", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_replaces_that_of_its_name_and_keeps_the_others() {
        let first = with("# Head\n", "", "one", "1\n");
        assert_eq!(first, "# Head\n\n## one\n\n1\n");
        let both = with("# Head\n", &first, "two", "2\n\n");
        assert_eq!(both, "# Head\n\n## one\n\n1\n\n## two\n\n2\n");
        let again = with("# New\n", &both, "one", "3\n");
        assert_eq!(again, "# New\n\n## one\n\n3\n\n## two\n\n2\n");
    }
}
