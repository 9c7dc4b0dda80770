//! What makes a group of messages.

use std::{borrow::Cow, str::FromStr};

use serde::{Deserialize, Deserializer, de};

use crate::message::Message;

/// What makes a group: messages of one group are handled one at a time, other groups meanwhile.
///
/// Written `"group"` (the group the message was sent with) or `"header:NAME"`. A message without it is on its own. Where the broker itself
/// keeps groups in order, its groups hold and this is left unread.
///
/// ```
/// # use loafer::Error;
/// use loafer::policy::GroupBy;
///
/// # fn main() -> Result<(), Error> {
/// let group_by: GroupBy = "header:tenant".parse()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupBy(By);

#[derive(Clone, Debug, PartialEq, Eq)]
enum By {
    Group,
    Header(Cow<'static, str>),
}

impl GroupBy {
    /// The group the message was sent with.
    pub const GROUP: Self = Self(By::Group);

    /// A header's value.
    pub fn header(name: impl Into<Cow<'static, str>>) -> Self {
        Self(By::Header(name.into()))
    }

    /// Returns the group of this message; `None` if it is in none.
    #[must_use]
    pub fn of<'m>(&self, message: &'m Message) -> Option<&'m str> {
        match &self.0 {
            By::Group => message.group(),
            By::Header(name) => message.headers().get(name),
        }
    }
}

impl FromStr for GroupBy {
    type Err = crate::Error;

    fn from_str(text: &str) -> Result<Self, crate::Error> {
        match text.split_once(':') {
            None if text == "group" => Ok(Self::GROUP),
            Some(("header", name)) if !name.is_empty() => Ok(Self::header(name.to_owned())),
            _ => Err(crate::Error::Config(format!(
                "`group_by = \"{text}\"` names nothing to group by: write `\"group\"` for the group a message was sent with, or `\"header:NAME\"`"
            ))),
        }
    }
}

impl<'de> Deserialize<'de> for GroupBy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}
