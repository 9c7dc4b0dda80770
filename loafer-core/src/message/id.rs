//! The identity of a message.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use uuid::{Builder, Uuid, fmt::Hyphenated};

/// The id that a broker gave a message. It is displayed as the broker writes it.
///
/// A UUID, which most brokers use, is kept inline. Any other id is kept as text.
///
/// ```
/// use loafer::message::MessageId;
///
/// assert_eq!(MessageId::from("order-17").to_string(), "order-17");
/// assert_ne!(MessageId::new(), MessageId::new());
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(Repr);

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Repr {
    Uuid(Uuid),
    Text(Arc<str>),
}

impl MessageId {
    /// Returns a new id: a UUID of version 7, so that ids are ordered by time, to the millisecond.
    #[expect(
        clippy::new_without_default,
        reason = "a default id that differs each time would surprise"
    )]
    pub fn new() -> Self {
        // `Uuid::now_v7` would also count within the millisecond, but behind a lock that all threads share.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let millis = now.map_or(0, |now| {
            now.as_secs() * 1_000 + u64::from(now.subsec_millis())
        });
        let [_, _, _, _, _, _, random @ ..] = Uuid::new_v4().into_bytes();
        Self(Repr::Uuid(
            Builder::from_unix_timestamp_millis(millis, &random).into_uuid(),
        ))
    }

    /// Returns when it was made, to the millisecond. `None` unless it is a UUID of version 7, as those of [`new`](Self::new) are.
    pub fn made_at(&self) -> Option<SystemTime> {
        let Repr::Uuid(id) = &self.0 else { return None };
        let made = id.get_timestamp().filter(|_| id.get_version_num() == 7)?;
        let (seconds, nanos) = made.to_unix();
        SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanos))
    }
}

impl From<&str> for MessageId {
    fn from(text: &str) -> Self {
        let printed_the_same =
            |id: &Uuid| id.hyphenated().encode_lower(&mut [0; Hyphenated::LENGTH]) == text;
        match Uuid::try_parse(text).ok().filter(printed_the_same) {
            Some(id) => Self(Repr::Uuid(id)),
            None => Self(Repr::Text(text.into())),
        }
    }
}

impl From<String> for MessageId {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Uuid(id) => fmt::Display::fmt(id, f),
            Repr::Text(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_ours_says_when_it_was_made() {
        let made = MessageId::new().made_at().expect("a time");
        let ago = SystemTime::now().duration_since(made).expect("the past");
        assert!(ago < Duration::from_secs(60), "{ago:?}");
        for other in ["order-17", "059f36b4-87a3-44ab-83d2-661975830a7d"] {
            assert_eq!(MessageId::from(other).made_at(), None);
        }
    }
}
