//! A message on its way out: where in its group, how late, and told from its duplicates by what.

use std::{fmt, ops::Deref, sync::Arc, time::Duration};

use crate::message::Message;

/// A message on its way out.
///
/// ```
/// use std::time::Duration;
/// use loafer::{Message, Outgoing};
///
/// let reminder = Outgoing::new(Message::new("{}")).delay(Duration::from_secs(60));
/// let paid = Outgoing::new(Message::new("{}")).group("customer-7").deduplication_id("payment-12");
/// # assert_eq!(paid.message.group(), Some("customer-7"));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outgoing {
    /// Payload, headers and group. Its id is offered to the broker, which may give another.
    pub message: Message,
    /// How long it stays invisible; the broker may limit it (SQS: 15 minutes; SNS: not at all).
    pub delay: Option<Duration>,
    /// What the broker tells duplicates by (SQS and SNS FIFO).
    pub deduplication_id: Option<DeduplicationId>,
    /// Which of its headers the publisher may leave out, from the last on, where its broker has no room for them all.
    pub optional: Vec<&'static str>,
}

impl Outgoing {
    /// A message as it is, at once.
    pub fn new(message: Message) -> Self {
        Self {
            message,
            delay: None,
            deduplication_id: None,
            optional: Vec::new(),
        }
    }

    /// The same in a group: what a group holds is handled one at a time, in order, where the broker keeps groups.
    #[must_use]
    pub fn group(self, group: impl Into<GroupId>) -> Self {
        Self {
            message: self.message.with_group(group),
            ..self
        }
    }

    /// The same with one header more; an earlier one of that name is replaced.
    #[must_use]
    pub fn header(
        self,
        name: impl Into<std::borrow::Cow<'static, str>>,
        value: impl Into<String>,
    ) -> Self {
        Self {
            message: self.message.with_header(name, value),
            ..self
        }
    }

    /// The same, invisible for this long; the broker may limit it (SQS: 15 minutes, in whole seconds; SNS: not at all).
    #[must_use]
    pub fn delay(self, delay: Duration) -> Self {
        Self {
            delay: Some(delay),
            ..self
        }
    }

    /// The same with what the broker tells duplicates by, where it does (SQS and SNS FIFO: for five minutes); else the message's own id.
    #[must_use]
    pub fn deduplication_id(self, id: impl Into<DeduplicationId>) -> Self {
        Self {
            deduplication_id: Some(id.into()),
            ..self
        }
    }
}

impl From<Message> for Outgoing {
    fn from(message: Message) -> Self {
        Self::new(message)
    }
}

/// The group of a message: those of one group are handled one at a time, in order, where the broker keeps groups.
///
/// A type of its own, as [`DeduplicationId`] is, so that one is not taken for the other. What it may hold is the broker's to say, when it
/// is published (SQS and SNS: 1 to 128 letters, digits and punctuation marks of ASCII).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(Arc<str>);

/// What a broker tells duplicates of a message by: of those with one id it keeps the first (SQS and SNS FIFO: for five minutes).
///
/// What it may hold is the broker's to say, when it is published (SQS and SNS: 1 to 128 letters, digits and punctuation marks of ASCII).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeduplicationId(Arc<str>);

impl GroupId {
    pub(crate) fn into_shared(self) -> Arc<str> {
        self.0
    }
}

macro_rules! text {
    ($id:ident) => {
        impl $id {
            /// Its text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl<T: Into<Arc<str>>> From<T> for $id {
            fn from(text: T) -> Self {
                Self(text.into())
            }
        }

        impl Deref for $id {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

text!(GroupId);
text!(DeduplicationId);
