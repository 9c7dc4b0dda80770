//! Names in configuration: one, or several.

use serde::{Deserialize, Serialize};

/// One name, or several. Configuration writes `"order.*"` or `["order.closed", "order.paid"]`.
///
/// ```
/// use loafer::policy::Names;
///
/// assert_eq!(Names::from("order.*").as_slice(), ["order.*"]);
/// assert_eq!(Names::from(["order.closed", "order.paid"]).as_slice().len(), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(
    untagged,
    expecting = "a name, for example \"order.*\", or a list of names"
)]
pub enum Names {
    /// One name, written as text.
    One(String),
    /// Any number of names, written as a list.
    Many(Vec<String>),
}

impl Names {
    /// Returns the names.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Many(names) => names,
        }
    }

    /// Returns whether there is no name, or one that is empty.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        let names = self.as_slice();
        names.is_empty() || names.iter().any(String::is_empty)
    }
}

impl From<&str> for Names {
    fn from(name: &str) -> Self {
        Self::One(name.to_owned())
    }
}

impl From<String> for Names {
    fn from(name: String) -> Self {
        Self::One(name)
    }
}

impl<N: Into<String>, const COUNT: usize> From<[N; COUNT]> for Names {
    fn from(names: [N; COUNT]) -> Self {
        Self::Many(names.into_iter().map(Into::into).collect())
    }
}

impl<N: Into<String>> From<Vec<N>> for Names {
    fn from(names: Vec<N>) -> Self {
        Self::Many(names.into_iter().map(Into::into).collect())
    }
}
