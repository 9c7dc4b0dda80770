//! The headers of a message.

use std::{borrow::Cow, fmt};

use super::HeaderValue;

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
///
/// Every header has a text. One that is a number or bytes to its broker has a [`HeaderValue`] beside it:
///
/// ```
/// use loafer::message::{HeaderValue, Headers};
///
/// let mut headers = Headers::new();
/// headers.insert_value("cents", 250);
/// assert_eq!(headers.get("cents"), Some("250"));
/// assert_eq!(headers.value("cents"), Some(&HeaderValue::Int(250)));
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct Headers {
    texts: Vec<(Cow<'static, str>, String)>,
    /// What is no text, by its name, which is among the texts too. Boxed, since it is rare.
    values: Option<Box<Values>>,
}

#[derive(Clone, Default, PartialEq)]
struct Values(Vec<(Cow<'static, str>, HeaderValue)>);

impl Headers {
    /// Returns headers that hold nothing. Does not allocate.
    pub const fn new() -> Self {
        Self {
            texts: Vec::new(),
            values: None,
        }
    }

    /// Returns the value of the header of this name. `None` means that there is no such header.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.texts
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns the value of a header that is no text. `None` means that there is no such header, or that it is a text.
    pub fn value(&self, name: &str) -> Option<&HeaderValue> {
        let mut values = self.values.as_ref()?.0.iter();
        values
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }

    /// Sets a header that is no text. It replaces an earlier one of its name.
    pub fn insert_value(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<HeaderValue>,
    ) {
        let value = value.into();
        self.insert_value_as(name, value.to_string(), value);
    }

    /// Sets a header that is no text, and its text, as its broker wrote it: SQS has numbers of 38 digits.
    pub fn insert_value_as(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        text: impl Into<String>,
        value: HeaderValue,
    ) {
        let name = name.into();
        self.insert(name.clone(), text);
        self.values.get_or_insert_default().0.push((name, value));
    }

    fn forget_value(&mut self, name: &str) {
        if let Some(values) = &mut self.values {
            values.0.retain(|(known, _)| known != name);
        }
    }

    /// Sets a header that is a text. Returns its earlier value, if it had one.
    pub fn insert(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<String>,
    ) -> Option<String> {
        let (name, value) = (name.into(), value.into());
        self.forget_value(&name);
        match self.texts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => Some(std::mem::replace(old, value)),
            None => {
                self.texts.push((name, value));
                None
            }
        }
    }

    /// Removes a header. Returns its value, if there was such a header.
    pub fn remove(&mut self, name: &str) -> Option<String> {
        self.forget_value(name);
        let at = self.texts.iter().position(|(known, _)| known == name)?;
        Some(self.texts.remove(at).1)
    }

    /// Returns names and values, in the order in which they were added.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.texts
            .iter()
            .map(|(name, value)| (name.as_ref(), value.as_str()))
    }

    /// Returns how many headers there are.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Returns whether there are no headers.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }
}

/// Shows the names alone: values may be personal data or secrets.
impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.texts.iter().map(|(name, _)| name))
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
