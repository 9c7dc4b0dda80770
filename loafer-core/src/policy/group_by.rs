//! Which messages are one group.

use std::{borrow::Cow, str::FromStr};

use serde::{Deserialize, Deserializer, de};

use crate::message::Message;

/// Which messages are one group. The messages of a group are handled one at a time, and other groups meanwhile.
///
/// In configuration it is `"group"` (the group that the message was sent with) or `"header:NAME"`. A message without that group or header belongs
/// to no group. If the broker itself keeps groups in order, its groups apply, and this is ignored.
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
    /// The messages that were sent with the same group.
    pub const GROUP: Self = Self(By::Group);

    /// Returns grouping by the value of a header.
    pub fn header(name: impl Into<Cow<'static, str>>) -> Self {
        Self(By::Header(name.into()))
    }

    /// Returns the group of this message. `None` means that it is in no group.
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
                "`group_by = \"{text}\"` is neither `\"group\"` (the group with which a message was sent) nor `\"header:NAME\"`"
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
