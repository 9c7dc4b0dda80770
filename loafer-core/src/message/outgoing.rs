//! A message on its way to a broker: its group, its delay, and how duplicates of it are recognised.

use std::{fmt, ops::Deref, sync::Arc, time::Duration};

use crate::message::Message;

/// A message on its way to a broker.
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
    /// The message: payload, headers and group. A broker may use its id or give it another one.
    pub message: Message,
    /// How long it stays invisible after it was published. `None` means that it is visible at once. A broker may limit it: see
    /// [`delay`](Self::delay()).
    pub delay: Option<Duration>,
    /// The id by which the broker recognises duplicates, if it does. `None` means that the message id serves.
    pub deduplication_id: Option<DeduplicationId>,
    /// The names of the headers that the publisher may leave out if its broker has no room for all of them. It leaves out the last of these names
    /// first.
    pub optional: Vec<&'static str>,
}

impl Outgoing {
    /// Returns an entry for this message, without delay.
    pub fn new(message: Message) -> Self {
        Self {
            message,
            delay: None,
            deduplication_id: None,
            optional: Vec::new(),
        }
    }

    /// Puts it in a group. If the broker keeps groups in order, the messages of one group are handled one at a time, in order.
    #[must_use]
    pub fn group(self, group: impl Into<GroupId>) -> Self {
        Self {
            message: self.message.with_group(group),
            ..self
        }
    }

    /// Sets a header. It replaces an earlier one of its name.
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

    /// Sets a header that is a number or bytes. It replaces an earlier one of its name.
    ///
    /// On SQS and SNS it is a `Number` or `Binary` attribute, which filter policies of SNS compare
    /// ([filter policies](https://docs.aws.amazon.com/sns/latest/dg/sns-subscription-filter-policies.html)); on RabbitMQ an integer, a double or a
    /// byte array in the header table. A consumer that reads text gets it as text, bytes in base64.
    ///
    /// ```
    /// use loafer::{Message, Outgoing};
    ///
    /// let order = Outgoing::new(Message::new("{}")).header_value("cents", 250).header_value("hash", vec![0xff, 0x00]);
    /// assert_eq!(order.message.headers().get("cents"), Some("250"));
    /// assert_eq!(order.message.headers().get("hash"), Some("/wA="));
    /// ```
    #[must_use]
    pub fn header_value(
        self,
        name: impl Into<std::borrow::Cow<'static, str>>,
        value: impl Into<super::HeaderValue>,
    ) -> Self {
        Self {
            message: self.message.with_header_value(name, value),
            ..self
        }
    }

    /// Keeps it invisible for this long after it was published.
    ///
    /// It may be up to 366 days. A publisher refuses what its broker can't do: SQS counts whole seconds, its FIFO queues have no delay of a single
    /// message ([`SendMessage`](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html)), and SNS has none at all.
    ///
    /// A delay beyond what the broker can in one stay (SQS: 15 minutes, RabbitMQ: 16) takes several. On RabbitMQ nobody sees the message before. On SQS
    /// the route of Loafer that receives it puts it off again, but another consumer of that queue would handle it at its first arrival.
    #[must_use]
    pub fn delay(self, delay: Duration) -> Self {
        Self {
            delay: Some(delay),
            ..self
        }
    }

    /// Sets the id by which the broker recognises duplicates: it drops what is sent again with the same id. Without it, the id of the message
    /// serves.
    ///
    /// FIFO queues and topics of SQS and SNS do this, for five minutes
    /// ([`SendMessage`](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html)). Other brokers ignore it.
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

/// The group of a message. If the broker keeps groups in order, the messages of one group are handled one at a time, in order.
///
/// It has a type of its own, and so has [`DeduplicationId`], so that one is not taken for the other. The publisher checks what it holds: SQS and
/// SNS take 1 to 128 alphanumeric characters and punctuation marks of ASCII
/// ([`SendMessage`](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html)).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(Arc<str>);

/// The id by which a broker recognises duplicates of a message. Of the messages with one id it keeps the first: on FIFO queues and topics of SQS
/// and SNS, among those of five minutes.
///
/// The publisher checks what it holds: SQS and SNS take 1 to 128 alphanumeric characters and punctuation marks of ASCII
/// ([`SendMessage`](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html)).
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
            /// Returns it as text.
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
