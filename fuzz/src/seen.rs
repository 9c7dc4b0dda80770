//! What an input made a translator do.

use std::{
    error::Error,
    fmt::{Debug, Write as _},
    hash::{DefaultHasher, Hash, Hasher},
};

use loafer_core::{
    message::Message,
    translate::{Envelope, TranslateError, Translator},
};

/// The text that the mutator writes into inputs, and that no error may repeat. It is no name: keys that look like a field's are reported.
pub const MARKER: &str = "s3cr3t m@rker";
/// As a number.
pub const NUMBER: &str = "7203411976";

/// What an input made a translator do, as far as it is seen from outside.
#[derive(Debug, Default)]
pub struct Seen(DefaultHasher);

impl Seen {
    /// Opens and decodes a message, and gives what came of it.
    ///
    /// # Panics
    ///
    /// Where an error quotes the payload, or opening it made it longer.
    pub fn message<E, X>(&mut self, translator: &E, raw: &Message) -> Option<X>
    where
        E: Envelope + for<'m> Translator<'m, X>,
    {
        let opened = self.result(translator.open(raw))?;
        assert!(
            opened.payload().len() <= raw.payload().len(),
            "what an envelope holds is longer than the envelope"
        );
        // Not the names: each key that a mutation makes would count as a behaviour.
        opened.headers().len().min(12).hash(&mut self.0);
        (opened.topic().is_some(), opened.sent_at().is_some()).hash(&mut self.0);
        let decoded = translator.translate(&opened);
        self.result(decoded)
    }

    /// Notes a result; its error must quote nothing.
    ///
    /// # Panics
    ///
    /// Where it does.
    pub fn result<X>(&mut self, result: Result<X, TranslateError>) -> Option<X> {
        result.is_ok().hash(&mut self.0);
        result.map_err(|error| self.error(&error)).ok()
    }

    fn error(&mut self, error: &TranslateError) {
        let mut texts = vec![error.to_string(), format!("{error:?}")];
        let mut source = error.source();
        while let Some(cause) = source {
            texts.push(cause.to_string());
            source = cause.source();
        }
        for text in texts.iter().map(|text| without_arn(text)) {
            assert!(
                !text.contains(MARKER) && !text.contains(NUMBER),
                "an error quotes the payload: {text}"
            );
        }
        shape(&texts[0]).hash(&mut self.0);
    }

    /// Notes anything else that tells one behaviour from another.
    pub fn note(&mut self, what: impl Hash) {
        what.hash(&mut self.0);
    }

    /// All of it as one number.
    pub fn number(&self) -> u64 {
        self.0.finish()
    }
}

/// A text with lengths in the place of its numbers, and of the paths in backticks: one that fails further into an input, or deeper, is worth keeping, not one
/// that fails a byte later or by another name.
fn shape(text: &str) -> String {
    let mut shape = String::new();
    for (at, part) in text.split('`').enumerate() {
        if at % 2 == 1 {
            _ = write!(shape, "{}", part.split('.').count());
            continue;
        }
        let mut rest = part;
        while let Some(start) = rest.find(|letter: char| letter.is_ascii_digit()) {
            let number = &rest[start..];
            let end = number
                .find(|letter: char| !letter.is_ascii_digit())
                .unwrap_or(number.len());
            _ = write!(shape, "{}{end}", &rest[..start]);
            rest = &number[end..];
        }
        shape += rest;
    }
    shape
}

/// Fails where two values that must be the same are not.
pub(crate) fn assert_same<X: PartialEq + Debug>(left: &X, right: &X, what: &str) {
    assert!(left == right, "{what}: {left:?} is not {right:?}");
}

/// Leaves out the ARN of the topic that a notice is about: its error names it on purpose.
fn without_arn(text: &str) -> String {
    let arn = text.split('`').find(|part| part.starts_with("arn:"));
    // Also as `Debug` shows it.
    let notice = text.contains("it is no event");
    match arn.filter(|_| notice) {
        Some(arn) => text.replace(arn, "ARN"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_paths_count_by_their_length() {
        assert_eq!(shape("line 12 column 345"), "line 2 column 3");
        assert_eq!(shape("é: 1, `a.b1`: x"), "é: 1, 2: x");
    }

    #[test]
    #[should_panic(expected = "an error quotes the payload")]
    fn an_error_that_quotes_is_found() {
        let error = TranslateError::new(format!("unknown name `{MARKER}`"));
        Seen::default().result::<()>(Err(error));
    }

    #[test]
    fn the_same_is_seen_as_the_same() {
        let seen = |text: &str| {
            let mut seen = Seen::default();
            seen.result::<()>(Err(TranslateError::new(text)));
            seen.number()
        };
        assert_eq!(seen("at 3"), seen("at 4"));
        assert_ne!(seen("at 3"), seen("at 33"));
    }
}
