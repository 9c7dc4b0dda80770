//! JSON payloads.

use serde::Deserialize;
use serde_json::error::Category;

use super::{
    Envelope, TranslateError, Translator,
    explain::{expected, location_of},
    json_path::path,
};
use crate::message::Message;

/// JSON payloads. Serde decodes them as any `T: Deserialize`, which may borrow from the payload.
///
/// ```
/// use loafer::{Json, Message, translate::Translator};
///
/// let message = Message::new(r#"["ana", "bob"]"#);
/// let names: Vec<&str> = Json.translate(&message)?;
/// assert_eq!(names, ["ana", "bob"]);
/// # Ok::<(), loafer::translate::TranslateError>(())
/// ```
///
/// # Errors
///
/// If the payload is not JSON or does not fit the type. The error names field path, line and column, never a value.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

impl Envelope for Json {
    const OPENS: bool = false;
}

#[diagnostic::do_not_recommend]
impl<'m, T: Deserialize<'m>> Translator<'m, T> for Json {
    fn translate(&self, message: &'m Message) -> Result<T, TranslateError> {
        decode(message.payload(), "the handler's type")
    }
}

impl<'m> Translator<'m, Message> for Json {
    fn translate(&self, message: &'m Message) -> Result<Message, TranslateError> {
        Ok(message.clone())
    }
}

/// Decodes a payload as a type. The error calls that type `called`, for example `the handler's type`.
///
/// # Errors
///
/// If the payload is not JSON or does not fit the type.
#[inline]
pub fn decode<'m, T: Deserialize<'m>>(
    payload: &'m [u8],
    called: &str,
) -> Result<T, TranslateError> {
    // A combinator would be compiled again for every message type.
    match serde_json::from_slice(payload) {
        Ok(decoded) => Ok(decoded),
        Err(error) => Err(explain(payload, &error, called)),
    }
}

/// Finds the field by the position where the decoder stopped, since the decoder does not track it.
#[cold]
fn explain(payload: &[u8], error: &serde_json::Error, called: &str) -> TranslateError {
    let what = match error.classify() {
        Category::Eof if payload.is_empty() => {
            return TranslateError::new("the payload is empty, and no JSON");
        }
        Category::Eof => "the JSON ends too early",
        Category::Syntax if error.to_string().starts_with("recursion limit") => {
            "the JSON is nested too deeply"
        }
        Category::Syntax => "the payload is no JSON",
        Category::Io => "the payload can't be read",
        Category::Data => {
            let at = location_of(path(payload, error.line(), error.column()));
            let expected = expected(&error.to_string());
            let (line, column) = (error.line(), error.column());
            return TranslateError::new(format!(
                "the JSON does not fit {called}{at}, line {line} column {column}{expected}"
            ));
        }
    };
    TranslateError::new(format!(
        "{what}: line {} column {}",
        error.line(),
        error.column()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "decoded only")]
    struct Friend {
        id: u32,
        name: Name,
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "decoded only")]
    struct Name {
        first: String,
    }

    fn error_of(payload: &'static str) -> String {
        Translator::<Friend>::translate(&Json, &Message::new(payload))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_wrong_type_names_the_path_and_not_the_value() {
        let error = error_of(r#"{"id": 1, "name": {"first": 424242}}"#);
        assert_eq!(
            error,
            "the JSON does not fit the handler's type at `name.first`, line 1 column 34: expected a string"
        );
    }

    #[test]
    fn a_missing_field_is_named() {
        assert!(error_of(r#"{"id": 1, "name": {}}"#).ends_with(": the field `first` is missing"));
    }

    #[test]
    fn an_empty_payload_says_so() {
        assert_eq!(error_of(""), "the payload is empty, and no JSON");
    }

    #[test]
    fn a_payload_that_is_not_json_is_reported_by_position() {
        assert_eq!(
            error_of("secret"),
            "the payload is no JSON: line 1 column 1"
        );
        assert_eq!(
            error_of("{\"id\": 1"),
            "the JSON ends too early: line 1 column 8"
        );
    }

    #[test]
    fn deep_nesting_is_refused() {
        let deep: &'static str = "[".repeat(100_000).leak();
        let error =
            Translator::<serde_json::Value>::translate(&Json, &Message::new(deep)).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("the JSON is nested too deeply"),
            "{error}"
        );
    }
}
