//! The headers of a message.

use std::{borrow::Cow, fmt};

/// The headers of a message: names and values that travel beside its payload. On SQS and SNS they are message attributes.
///
/// They keep the order in which they were added. A name occurs once, and names are case-sensitive. There are few, so a lookup goes through all
/// of them.
///
/// ```
/// use loafer::message::Headers;
///
/// let headers: Headers = [("tenant", "acme"), ("priority", "high")].into_iter().collect();
/// assert_eq!(headers.get("tenant"), Some("acme"));
/// assert_eq!(headers.get("Tenant"), None);
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(Cow<'static, str>, String)>);

impl Headers {
    /// Returns headers that hold nothing. Does not allocate.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Returns the value of the header of this name. `None` means that there is no such header.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Sets a header. Returns its earlier value, if it had one.
    pub fn insert(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<String>,
    ) -> Option<String> {
        let (name, value) = (name.into(), value.into());
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => Some(std::mem::replace(old, value)),
            None => {
                self.0.push((name, value));
                None
            }
        }
    }

    /// Removes a header. Returns its value, if there was such a header.
    pub fn remove(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(at).1)
    }

    /// Returns names and values, in the order in which they were added.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_ref(), value.as_str()))
    }

    /// Returns how many headers there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are no headers.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Shows the names alone: values may be personal data or secrets.
impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

impl<N: Into<Cow<'static, str>>, V: Into<String>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut headers = Self::new();
        for (name, value) in pairs {
            headers.insert(name, value);
        }
        headers
    }
}
