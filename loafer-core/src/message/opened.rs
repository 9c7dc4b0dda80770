//! Opened envelopes: what translators found in a message.

use std::any::TypeId;

use super::Message;

/// The translator that opened an envelope: its type and, if it has state, which one of that type.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenedBy {
    translator: TypeId,
    number: u64,
}

impl OpenedBy {
    /// Returns the translator of this type that has this number. Translators without state are all the same.
    pub fn new<T: 'static>(number: u64) -> Self {
        Self {
            translator: TypeId::of::<T>(),
            number: if size_of::<T>() == 0 { 0 } else { number },
        }
    }
}

/// What each translator found. Usually there is none, or one.
#[derive(Clone, Debug, Default)]
pub(super) struct Opened(Vec<(OpenedBy, Message)>);

impl Opened {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Message {
    /// Returns what this translator found in the envelope, if it has opened it before.
    #[doc(hidden)]
    pub fn opened(&self, by: OpenedBy) -> Option<&Self> {
        let mut opened = self.parts.extra.as_ref()?.opened.0.iter();
        let (_, opened) = opened.find(|(known, _)| *known == by)?;
        Some(opened)
    }

    /// Remembers what this translator found in the envelope, until the message is changed.
    #[doc(hidden)]
    pub fn remember_opened(&mut self, by: OpenedBy, opened: Self) {
        self.unchanged_mut().opened.0.push((by, opened));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_known_until_the_message_changes() {
        let (by, other) = (OpenedBy::new::<u8>(1), OpenedBy::new::<u8>(2));
        let mut message = Message::new("envelope").with_group("g");
        message.remember_opened(by, Message::new("first"));
        message.remember_opened(other, Message::new("second"));
        let copy = message.clone().with_attempt(2).with_extension(7_u8);
        let found = |by| copy.opened(by).map(|found| found.payload().clone());
        assert_eq!(found(by).as_deref(), Some(&b"first"[..]));
        assert_eq!(found(other).as_deref(), Some(&b"second"[..]));
        assert!(copy.with_payload("another envelope").opened(by).is_none());
    }

    #[test]
    fn translators_without_state_are_the_same() {
        assert_eq!(OpenedBy::new::<()>(1), OpenedBy::new::<()>(2));
        assert_ne!(OpenedBy::new::<u8>(1), OpenedBy::new::<u8>(2));
    }
}
