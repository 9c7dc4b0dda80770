//! Dead letters that are packed: in a form that outlasts their queue and the process that read them.

use std::{fmt, time::SystemTime};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{DeadLetter, Destination};
use crate::{
    Error,
    message::{Headers, Message},
};

/// A dead letter to keep, and to copy later, maybe from another process: see [`DeadLetterQueue::pack`](crate::broker::DeadLetterQueue::pack).
///
/// It holds the message, and what only its broker knows of it, for example the types of attributes. It is no lease: what became of the dead letter
/// itself does not matter. In JSON a body that is not UTF-8 is written as base64, in the field `body_base64` instead of `body`.
///
/// ```
/// use loafer::{Message, broker::{Destination, PackedDeadLetter}};
///
/// let dead_letter = Message::with_id("17", "{}").with_header("tenant", "acme");
/// let written = serde_json::to_string(&PackedDeadLetter::new(&dead_letter))?;
///
/// let read: PackedDeadLetter = serde_json::from_str(&written)?;
/// let copy = read.with_header("retried-by", "ana").copy_to(&Destination::Source);
/// let header = |name| copy.headers().get(name);
/// assert_eq!(copy.payload(), "{}");
/// assert_eq!((header("tenant"), header("retried-by")), (Some("acme"), Some("ana")));
/// assert_eq!(header("loafer-retried-from"), Some("17"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct PackedDeadLetter {
    message: Message,
    original: Option<Original>,
    /// What its copies have beside the headers of the message.
    added: Headers,
}

/// What only a broker knows of a dead letter.
#[derive(Clone, Serialize, Deserialize)]
struct Original {
    /// The kind of the broker.
    broker: String,
    value: Value,
}

impl PackedDeadLetter {
    /// Packs a dead letter of a broker that knows no more of it than a message carries.
    pub fn new(dead_letter: &Message) -> Self {
        Self {
            message: dead_letter.clone(),
            original: None,
            added: Headers::new(),
        }
    }

    /// Adds what only a broker of this kind knows. It is kept for years: write nothing that changes with the version of a client library.
    #[must_use]
    pub fn with_original(mut self, broker: &str, value: Value) -> Self {
        let broker = broker.to_owned();
        self.original = Some(Original { broker, value });
        self
    }

    /// Adds a header to its copies. It replaces one of its name.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.added.insert(name.into(), value);
        self
    }

    /// Returns the dead letter, as it was leased.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// Returns what a broker of this kind added.
    ///
    /// # Errors
    ///
    /// If another broker packed it, or it can't be read.
    pub fn original<T: DeserializeOwned>(&self, broker: &str) -> Result<T, Error> {
        let id = self.message.id();
        let Some(original) = self.original.as_ref().filter(|it| it.broker == broker) else {
            let by = self
                .original
                .as_ref()
                .map_or("another broker", |it| &it.broker);
            return Err(Error::Config(format!(
                "dead letter {id} was packed by `{by}`, and `{broker}` can't send it: send it by a route on the broker that it came from"
            )));
        };
        T::deserialize(&original.value).map_err(|error| {
            Error::Config(format!(
                "the original of dead letter {id} can't be read: {error}"
            ))
        })
    }

    /// Returns the headers that a copy has beside those of the message. On its way to the source, the id of the dead letter is among them, as
    /// [`DeadLetter::RETRIED_FROM`].
    pub fn added_headers(&self, to: &Destination) -> Headers {
        let mut added = self.added.clone();
        if *to == Destination::Source {
            added.insert(DeadLetter::RETRIED_FROM, self.message.id().to_string());
        }
        added
    }

    /// Returns the message of a copy: with the [added headers](Self::added_headers), and without the envelope on its way to the source.
    pub fn copy_to(&self, to: &Destination) -> Message {
        let mut headers = self.message.headers().clone();
        if *to == Destination::Source {
            headers.remove(DeadLetter::HEADER);
        }
        for (name, value) in self.added_headers(to).iter() {
            headers.insert(name.to_owned(), value);
        }
        self.message.clone().with_headers(headers)
    }
}

/// Shows no bodies and no values of headers, which may be personal data.
impl fmt::Debug for PackedDeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PackedDeadLetter")
            .field("message", &self.message)
            .field("added", &self.added)
            .finish_non_exhaustive()
    }
}

/// A packed dead letter as it is written.
#[derive(Serialize, Deserialize)]
struct Written {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
    headers: Vec<(String, String)>,
    topic: Option<String>,
    group: Option<String>,
    sent_at: Option<SystemTime>,
    attempt: u32,
    original: Option<Original>,
    added: Vec<(String, String)>,
}

impl From<PackedDeadLetter> for Written {
    fn from(packed: PackedDeadLetter) -> Self {
        let message = &packed.message;
        let pairs = |headers: &Headers| {
            let pairs = headers.iter();
            pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect()
        };
        let body = std::str::from_utf8(message.payload()).ok();
        Self {
            id: message.id().to_string(),
            body: body.map(str::to_owned),
            body_base64: body.is_none().then(|| STANDARD.encode(message.payload())),
            headers: pairs(message.headers()),
            topic: message.topic().map(str::to_owned),
            group: message.group().map(str::to_owned),
            sent_at: message.sent_at(),
            attempt: message.attempt(),
            original: packed.original,
            added: pairs(&packed.added),
        }
    }
}

impl TryFrom<Written> for PackedDeadLetter {
    type Error = base64::DecodeError;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let body = match written.body_base64 {
            Some(bytes) => STANDARD.decode(bytes)?,
            None => written.body.unwrap_or_default().into_bytes(),
        };
        let mut message = Message::with_id(written.id, body)
            .with_attempt(written.attempt)
            .with_headers(written.headers.into_iter().collect());
        message = written.topic.into_iter().fold(message, Message::with_topic);
        message = written.group.into_iter().fold(message, Message::with_group);
        message = written
            .sent_at
            .into_iter()
            .fold(message, Message::with_sent_at);
        Ok(Self {
            message,
            original: written.original,
            added: written.added.into_iter().collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn again(packed: &PackedDeadLetter) -> PackedDeadLetter {
        let written = serde_json::to_string(packed).expect("JSON");
        serde_json::from_str(&written).expect("what was written")
    }

    #[test]
    fn what_was_packed_is_the_same_after_a_restart() {
        let sent_at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
        for body in [&b"{}"[..], &[0, 255]] {
            let message = Message::with_id("17", body)
                .with_header("b", "2")
                .with_header("a", "1")
                .with_topic("orders")
                .with_group("g")
                .with_sent_at(sent_at)
                .with_attempt(3);
            let packed = PackedDeadLetter::new(&message).with_original("acme", json!([1, "x"]));
            let read = again(&packed.with_header("c", "3"));
            let same = read.message();
            assert_eq!(same.payload(), body);
            assert_eq!(format!("{same:?}"), format!("{message:?}"));
            assert_eq!(
                (same.headers(), same.sent_at()),
                (message.headers(), Some(sent_at))
            );
            assert_eq!(read.added.get("c"), Some("3"));
            let original: (u8, String) = read.original("acme").expect("the original");
            assert_eq!(original, (1, "x".to_owned()));
        }
    }

    #[test]
    fn no_other_broker_takes_it_for_its_own() {
        let packed = PackedDeadLetter::new(&Message::with_id("17", "{}"));
        let error = |packed: &PackedDeadLetter| {
            let original = packed.original::<u8>("acme");
            original.expect_err("a refusal").to_string()
        };
        assert!(error(&packed).contains("dead letter 17 was packed by `another broker`"));
        let packed = packed.with_original("other", json!(1));
        assert!(error(&packed).contains("packed by `other`, and `acme` can't send it"));
        let packed = packed.with_original("acme", json!("no number"));
        assert!(error(&packed).contains("can't be read"));
    }

    #[test]
    fn a_copy_to_the_source_has_no_envelope_and_one_elsewhere_is_as_it_was() {
        let message = Message::with_id("17", "{}").with_header(DeadLetter::HEADER, "{}");
        let packed = PackedDeadLetter::new(&message);
        let names = |to: &Destination| {
            let copy = packed.copy_to(to);
            let names = copy.headers().iter().map(|(name, _)| name.to_owned());
            names.collect::<Vec<_>>()
        };
        assert_eq!(names(&Destination::Source), [DeadLetter::RETRIED_FROM]);
        let parked = Destination::Queue("parked".to_owned());
        assert_eq!(names(&parked), [DeadLetter::HEADER]);
    }
}
