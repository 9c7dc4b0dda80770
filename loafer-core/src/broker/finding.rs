//! What the command `check` finds out.

/// One thing `check` found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What was found, and what to do about it.
    pub text: String,
}

/// How bad a [`Finding`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Good,
    /// Works, but not as well as it might.
    Warning,
    /// Does not work: `check` exits 1.
    Problem,
}

impl Finding {
    /// As it should be.
    pub fn good(text: impl Into<String>) -> Self {
        Self {
            level: Level::Good,
            text: text.into(),
        }
    }

    /// Works, but not as well as it might.
    pub fn warning(text: impl Into<String>) -> Self {
        Self {
            level: Level::Warning,
            text: text.into(),
        }
    }

    /// Does not work.
    pub fn problem(text: impl Into<String>) -> Self {
        Self {
            level: Level::Problem,
            text: text.into(),
        }
    }
}
