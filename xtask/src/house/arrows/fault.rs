//! What is against the rules, told with its place and its cure.

use std::fmt;

/// A breach of the rules.
#[derive(Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// Modules that name each other in a circle.
    Circle {
        /// The crate.
        package: String,
        /// All modules that reach each other.
        modules: Vec<String>,
        /// The shortest way around.
        way: Vec<Line>,
    },
    /// A module names one that stands above it.
    Upward {
        /// The crate.
        package: String,
        /// The first line that does.
        line: Line,
        /// The order that the crate has.
        order: String,
    },
    /// Modules that the order of their crate does not have.
    Unlisted {
        /// The crate.
        package: String,
        /// Their names.
        modules: Vec<String>,
        /// The order that the crate has.
        order: String,
    },
    /// A path of this crate that leads nowhere, as far as can be seen.
    Unknown {
        /// The path as it is written.
        path: String,
        /// The file, from the root of the checkout.
        file: String,
        /// Where it stands.
        line: usize,
    },
    /// A package depends on one that it may not name.
    Dependency {
        /// The package.
        package: String,
        /// What it depends on.
        on: String,
        /// What it may depend on.
        allowed: Vec<&'static str>,
        /// The manifest, from the root of the checkout.
        file: String,
        /// Where the dependency stands.
        line: usize,
    },
    /// A package that the rules do not know.
    Undeclared {
        /// The package.
        package: String,
    },
}

/// One arrow, with the first line that makes it.
#[derive(Debug, Eq, PartialEq)]
pub struct Line {
    /// The module that names.
    pub from: String,
    /// The module that is named.
    pub to: String,
    /// What is written.
    pub path: String,
    /// The file, from the root of the checkout.
    pub file: String,
    /// The line of the file.
    pub line: usize,
    /// In how many places the arrow is made.
    pub times: usize,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            from,
            to,
            path,
            file,
            line,
            times,
        } = self;
        write!(f, "{file}:{line}: {from} → {to} by `{path}`")?;
        match times {
            0 | 1 => Ok(()),
            times => write!(f, " ({times} times)"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Circle {
                package,
                modules,
                way,
            } => {
                let count = modules.len();
                let modules = modules.join(" ");
                writeln!(f, "{package}: a circle of {count} modules: {modules}")?;
                writeln!(f, "  Its shortest way around; cut one of these arrows:")?;
                let lines: Vec<String> = way.iter().map(|line| format!("    {line}")).collect();
                f.write_str(&lines.join("\n"))
            }
            Self::Upward {
                package,
                line,
                order,
            } => write!(
                f,
                "{line}\n  In {package} that runs up: {order}. Move what it needs down, or have it handed in from above."
            ),
            Self::Unlisted {
                package,
                modules,
                order,
            } => write!(
                f,
                "{package}: modules that have no place in its order: {}\n  The order is {order}. Move them into those, or list them in xtask/src/house/arrows/declared.rs.",
                modules.join(" ")
            ),
            Self::Unknown { path, file, line } => write!(
                f,
                "{file}:{line}: `{path}` leads to nothing that is known\n  A macro makes it, no doubt: name it by the module that it stands in."
            ),
            Self::Dependency {
                package,
                on,
                allowed,
                file,
                line,
            } => {
                let allowed = match allowed.is_empty() {
                    true => "nothing of this workspace".to_owned(),
                    false => allowed.join(", "),
                };
                write!(
                    f,
                    "{file}:{line}: {package} depends on {on}\n  It may depend on {allowed}. Take what it needs from there, or make it a dev-dependency if only tests need it."
                )
            }
            Self::Undeclared { package } => write!(
                f,
                "{package}: a package that has no place in the house\n  List what it may depend on in xtask/src/house/arrows/declared.rs."
            ),
        }
    }
}
