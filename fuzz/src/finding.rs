//! An input that went wrong.

use std::{
    fmt, fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::Path,
};

/// An input that went wrong, where it is kept, and how to repeat it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Finding {
    /// The target.
    pub target: &'static str,
    /// What went wrong.
    pub what: String,
    /// The further arguments of `cargo xtask fuzz TARGET` that repeat it.
    pub repeat: String,
}

impl Finding {
    /// Of an input, which is kept in a folder.
    pub(crate) fn of_input(
        target: &'static str,
        what: String,
        input: &[u8],
        folder: &Path,
    ) -> Self {
        let mut hasher = DefaultHasher::new();
        input.hash(&mut hasher);
        let file = folder.join(format!("finding-{:016x}", hasher.finish()));
        let repeat = match fs::write(&file, input) {
            Ok(()) => format!("--input {}", file.display()),
            Err(error) => {
                format!("--input FILE, to which it could not be written: {error}: {input:?}")
            }
        };
        Self {
            target,
            what,
            repeat,
        }
    }

    /// Of a value, which the run makes again.
    pub(crate) fn of_value(target: &'static str, what: String, seed: u64) -> Self {
        Self {
            target,
            what,
            repeat: format!("--seed {seed}"),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            target,
            what,
            repeat,
        } = self;
        write!(
            f,
            "{target}: {what}\nrepeat it: cargo xtask fuzz {target} {repeat}"
        )
    }
}
