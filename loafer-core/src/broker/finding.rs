//! Findings of the command `check`.

/// One thing that the command `check` found out about a route or a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What was found, on which queue or topic, and what to do about it.
    pub text: String,
}

/// How bad a [`Finding`] is. A worse level is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It is as it should be.
    Good,
    /// It works, but not as well as it could.
    Warning,
    /// It does not work. `check` exits with 1.
    Problem,
}

impl Finding {
    /// Returns a finding that something is as it should be.
    pub fn good(text: impl Into<String>) -> Self {
        Self {
            level: Level::Good,
            text: text.into(),
        }
    }

    /// Returns a finding that something works, but not as well as it could.
    pub fn warning(text: impl Into<String>) -> Self {
        Self {
            level: Level::Warning,
            text: text.into(),
        }
    }

    /// Returns a finding that something does not work.
    pub fn problem(text: impl Into<String>) -> Self {
        Self {
            level: Level::Problem,
            text: text.into(),
        }
    }
}
