//! Opened envelopes: what translators found in a message.

use super::Message;

impl Message {
    /// Returns what the translator with this number found in the envelope, if it has opened it before.
    #[doc(hidden)]
    pub fn opened(&self, by: u64) -> Option<&Self> {
        let mut opened = self.parts.extra.as_ref()?.opened.iter();
        let (_, opened) = opened.find(|(known, _)| *known == by)?;
        Some(opened)
    }

    /// Remembers what a translator found in the envelope, until the message is changed.
    #[doc(hidden)]
    pub fn remember_opened(&mut self, by: u64, opened: Self) {
        self.unchanged_mut().opened.push((by, opened));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_known_until_the_message_changes() {
        let mut message = Message::new("envelope").with_group("g");
        message.remember_opened(1, Message::new("first"));
        message.remember_opened(2, Message::new("second"));
        let copy = message.clone().with_attempt(2).with_extension(7_u8);
        let found = |by| copy.opened(by).map(|found| found.payload().clone());
        assert_eq!(found(1).as_deref(), Some(&b"first"[..]));
        assert_eq!(found(2).as_deref(), Some(&b"second"[..]));
        assert!(copy.with_payload("another envelope").opened(1).is_none());
    }
}
