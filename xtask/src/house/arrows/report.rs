//! What was found in a checkout.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use super::fault::Fault;
use super::krate::Arrows;

/// The arrows of all crates, and the faults among them.
#[derive(Debug)]
pub struct Report {
    pub(super) crates: Vec<Arrows>,
    pub(super) faults: Vec<Fault>,
}

impl Report {
    /// Returns what is against the rules: circles first, then crate by crate.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// Returns the faults as text, one paragraph each, and empty if there is none.
    pub fn faults_in_words(&self) -> String {
        let faults: Vec<String> = self.faults.iter().map(Fault::to_string).collect();
        faults.join("\n\n")
    }

    /// Returns each arrow on a line of its own, with the line of a file that makes it.
    pub fn lines(&self) -> String {
        let mut text = String::new();
        for krate in &self.crates {
            for (from, to, arrow) in krate.graph.all() {
                let line = krate.line(from, to, arrow);
                let _ = writeln!(text, "{}: {line}", krate.name);
            }
        }
        text
    }

    /// Returns the circles between files, those of one module among them. They are for information, and no faults.
    pub fn circles_of_files(&self) -> String {
        let mut text = String::new();
        for krate in &self.crates {
            for circle in &krate.circles_of_files {
                let files: Vec<&str> = circle.iter().map(String::as_str).collect();
                let (name, count) = (&krate.name, files.len());
                let _ = writeln!(
                    text,
                    "{name}: {count} files in a circle: {}",
                    files.join(" ")
                );
            }
        }
        text
    }
}

/// The crates with their modules, and what each of these names.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for krate in &self.crates {
            write_crate(f, krate)?;
        }
        Ok(())
    }
}

fn write_crate(f: &mut fmt::Formatter<'_>, krate: &Arrows) -> fmt::Result {
    let modules = krate.modules.len();
    let arrows = krate.graph.all().count();
    writeln!(f, "{}: {modules} modules, {arrows} arrows", krate.name)?;
    let mut named: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (from, to, _) in krate.graph.all() {
        let named = named.entry(krate.name_of(from)).or_default();
        named.push(krate.name_of(to));
    }
    for module in &krate.modules {
        named.entry(module).or_default();
    }
    for (module, others) in named {
        match others.is_empty() {
            true => writeln!(f, "  {module}")?,
            false => writeln!(f, "  {module} → {}", others.join(" "))?,
        }
    }
    Ok(())
}
