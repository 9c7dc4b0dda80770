//! Sources that can't be read.

use std::io;
use std::path::PathBuf;

/// A checkout that can't be judged, since part of it can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder that the system does not give.
    #[error("can't read {}", path.display())]
    Unreadable {
        /// Where it lies.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A manifest that is not there, or not one.
    #[error("{file}: not a manifest of cargo: {reason}")]
    Manifest {
        /// The manifest, from the root of the checkout.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file that is not Rust.
    #[error("{file}:{line}: can't be parsed as Rust: {reason}")]
    Syntax {
        /// The file, from the root of the checkout.
        file: String,
        /// The line the parser stopped at.
        line: usize,
        /// What the parser says.
        reason: String,
    },
    /// A module whose file is not there.
    #[error("{file}:{line}: `mod {module}` has no file: write {}", candidates.join(" or "))]
    NoFile {
        /// The file that declares the module.
        file: String,
        /// The line of the declaration.
        line: usize,
        /// The module's name.
        module: String,
        /// The files that were looked for.
        candidates: Vec<String>,
    },
}
