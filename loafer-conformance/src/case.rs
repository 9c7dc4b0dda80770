//! A named case, and how its body says what went wrong.

use std::fmt;

use super::Feature;

/// One guarantee, by the name of its case.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Case {
    /// What must hold, in words.
    pub name: &'static str,
    /// What Watermill's universal tests call it. `None` means that Watermill has no such test.
    pub watermill: Option<&'static str>,
    /// What a broker must be able to do for it.
    pub needs: &'static [Feature],
}

/// What a case found wrong.
pub(super) struct Fault(pub(super) String);

pub(super) type Checked<T = ()> = Result<T, Fault>;

impl Fault {
    pub(super) fn new(text: impl fmt::Display) -> Self {
        Self(text.to_string())
    }
}

impl<E: std::error::Error> From<E> for Fault {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Ends a case that found something wrong.
macro_rules! ensure {
    ($holds:expr, $($said:tt)+) => {
        if !$holds {
            return Err($crate::case::Fault(format!($($said)+)));
        }
    };
}

pub(super) use ensure;
