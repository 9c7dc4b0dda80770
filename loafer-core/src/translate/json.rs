//! JSON payloads.

use serde::Deserialize;
use serde_json::{error::Category, value::RawValue};

use super::{
    Bytes, Envelope, TranslateError, Translator,
    aws::mistaken,
    explain::{expected, location_of},
    json_path::{offset, path},
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
/// A byte order mark before the JSON is ignored. An empty payload is decoded as `null`, so a handler takes tombstones as `Option<T>`. Of two members
/// of one name, maps keep the last, and structs are an error.
///
/// A `&str` borrows a string without escapes only. If there may be some, take `Cow<str>` with `#[serde(borrow)]`, or `String`.
///
/// # Errors
///
/// If the payload is not JSON or does not fit the type. The error names field path, line and column, never a value. It says so if the payload is
/// the envelope of SNS.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

impl Envelope for Json {
    const OPENS: bool = false;
}

#[diagnostic::do_not_recommend]
impl<'m, T: Deserialize<'m>> Translator<'m, T> for Json {
    #[inline]
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
    // This is the one place that decodes, so that the compiler puts the decoder here.
    let json = match payload.first() {
        None | Some(0xef) => mended(payload),
        Some(_) => payload,
    };
    // A combinator would be compiled again for every message type.
    match serde_json::from_slice(json) {
        Ok(decoded) => Ok(decoded),
        Err(error) => Err(explain(payload, &error, called)),
    }
}

/// Returns what a payload stands for that JSON parsers refuse: a tombstone for `null`, and a text with a byte order mark for itself. The mark may
/// be ignored ([RFC 8259](https://www.rfc-editor.org/rfc/rfc8259#section-8.1)).
#[cold]
fn mended(payload: &[u8]) -> &[u8] {
    match payload.is_empty() {
        true => b"null",
        false => without_mark(payload),
    }
}

/// Returns the text behind its byte order mark, which .NET and Windows write before UTF-8.
pub(super) fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text)
}

/// Returns the bytes of a JSON string in a body: a slice of the body if nothing in it is escaped, otherwise a copy. `None` means that it is no valid
/// text.
pub(super) fn text_of(body: &Bytes, json: &RawValue) -> Option<Bytes> {
    let text = json.get();
    let plain = text.strip_prefix('"')?.strip_suffix('"')?;
    match memchr::memchr(b'\\', plain.as_bytes()) {
        None => Some(body.slice_ref(plain.as_bytes())),
        Some(_) => serde_json::from_str::<String>(text).ok().map(Bytes::from),
    }
}

/// Finds the field by the position where the decoder stopped, since the decoder does not track it.
#[cold]
fn explain(payload: &[u8], error: &serde_json::Error, called: &str) -> TranslateError {
    if payload.is_empty() {
        return TranslateError::new("the payload is empty, and no JSON");
    }
    if matches!(payload, [0xfe, 0xff, ..] | [0xff, 0xfe, ..]) {
        return TranslateError::new("the payload is UTF-16, and JSON between systems is UTF-8");
    }
    let payload = without_mark(payload);
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    // What serde_json says of the syntax is one of its own texts. It never quotes.
    let said = text.split(" at line ").next().unwrap_or_default();
    let what = match (error.classify(), said) {
        (Category::Eof, _) => "the JSON ends too early",
        (Category::Io, _) => "the payload can't be read",
        (Category::Data, _) => {
            let at = location_of(path(payload, line, column));
            let expected = expected(&text);
            let hint = mistaken(payload).unwrap_or_default();
            return TranslateError::new(format!(
                "the JSON does not fit {called}{at}, line {line} column {column}{expected}{hint}"
            ));
        }
        (_, "recursion limit exceeded") => "the JSON is nested too deeply",
        (_, "number out of range") => "the JSON has a number that no type can hold",
        (_, "lone leading surrogate in hex escape" | "unexpected end of hex escape") => {
            "the JSON has a string with half a surrogate pair, which is no Unicode"
        }
        (_, "trailing characters") => "there is more behind the JSON",
        _ if is_not_finite(payload, line, column) => {
            "the payload is no JSON: it has `NaN` or `Infinity`"
        }
        _ => "the payload is no JSON",
    };
    TranslateError::new(format!("{what}: line {line} column {column}"))
}

/// Whether the decoder stopped at a number that JSON lacks, and Python and JavaScript write.
fn is_not_finite(json: &[u8], line: usize, column: usize) -> bool {
    let rest = &json[offset(json, line, column.saturating_sub(1))..];
    [&b"NaN"[..], b"Infinity"]
        .iter()
        .any(|word| rest.starts_with(word))
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

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

    #[derive(Debug, Deserialize)]
    struct Copied<'m> {
        #[serde(borrow)]
        item: Cow<'m, str>,
    }

    #[derive(Debug, Deserialize)]
    struct Order<'m> {
        item: &'m str,
    }

    #[test]
    fn an_escape_in_a_borrowed_string_names_the_cure() {
        for (payload, at) in [
            (r#"{"item":"caf\u00e9 \"noir\"","count":1}"#, " at `item`"),
            (r#"{"item":"a\/b","count":1}"#, " at `item`"),
        ] {
            let message = Message::new(payload);
            let order: Result<Order<'_>, _> = Json.translate(&message);
            let error = order.unwrap_err().to_string();
            let cure =
                ": the string has an escape: take `Cow<str>` with `#[serde(borrow)]`, or `String`";
            assert!(error.contains(at) && error.ends_with(cure), "{error}");
        }
        let plain = Message::new(r#"{"item":"café"}"#);
        let order: Order<'_> = Json.translate(&plain).unwrap();
        assert_eq!(order.item, "café");
        let escaped = Message::new(r#"{"item":"caf\u00e9 \"noir\"","count":1}"#);
        let copied: Copied<'_> = Json.translate(&escaped).unwrap();
        assert_eq!(copied.item, "café \"noir\"");
        let number = Message::new(r#"{"item":", expected a borrowed string"}"#);
        let error = Translator::<Friend>::translate(&Json, &number).unwrap_err();
        assert!(error.to_string().ends_with(": the field `id` is missing"));
    }

    #[test]
    fn what_is_no_json_is_told_in_its_own_word() {
        for (payload, word) in [
            (
                "{\"id\":1,\"name\":{\"first\":\"a\"}}\0",
                "there is more behind the JSON: line 1 column 30",
            ),
            (
                "{\"id\":1,\"name\":{\"first\":\"a\"}} {}",
                "there is more behind the JSON",
            ),
            (
                r#"{"id": NaN}"#,
                "the payload is no JSON: it has `NaN` or `Infinity`",
            ),
            (r#"{"id": Infinity}"#, "it has `NaN` or `Infinity`"),
            (r#"{"id": -Infinity}"#, "it has `NaN` or `Infinity`"),
            (r#"{"name": {"first": "\ud800"}}"#, "half a surrogate pair"),
            (r#"{"name": {"first": "\ud800x"}}"#, "half a surrogate pair"),
            (r#"{"name": {"first": "\udc00"}}"#, "half a surrogate pair"),
            (r#"{"id": 1e999}"#, "a number that no type can hold"),
            (
                r#"{"id": 4294967296}"#,
                "at `id`, line 1 column 17: expected u32",
            ),
            (r#"{"id": 1, "id": 2}"#, ": the field `id` is there twice"),
            ("\u{feff}", "the JSON ends too early"),
            (
                "\u{feff}{\"id\": true}",
                "at `id`, line 1 column 11: expected u32",
            ),
            (
                "\u{feff}\u{feff}{}",
                "the payload is no JSON: line 1 column 1",
            ),
        ] {
            let error = error_of(payload);
            assert!(error.contains(word), "{payload}: {error}");
        }
        for utf16 in [&b"\xff\xfe{\0}\0"[..], b"\xfe\xff\0{\0}"] {
            let error = Translator::<Friend>::translate(&Json, &Message::new(utf16)).unwrap_err();
            assert!(error.to_string().contains("UTF-16"), "{error}");
        }
    }

    #[test]
    fn what_parsers_may_accept_is_accepted() {
        let of = |payload: &'static str| Message::new(payload);
        let marked: Vec<u8> = Json.translate(&of("\u{feff}[1]")).unwrap();
        assert_eq!(marked, [1]);
        let last: serde_json::Value = Json.translate(&of(r#"{"id": 1, "id": 2}"#)).unwrap();
        assert_eq!(last["id"], 2);
        for tombstone in ["", "null"] {
            let none: Option<String> = Json.translate(&of(tombstone)).unwrap();
            assert_eq!(none, None, "{tombstone}");
        }
        let large: f64 = Json.translate(&of("18446744073709551616")).unwrap();
        assert!(large > 1.8e19);
    }

    #[test]
    fn an_envelope_of_sns_is_recognised() {
        let notification = r#"{"Type": "Notification", "TopicArn": "arn:aws:sns:local:1:t", "Message": "{\"id\": 1}"}"#;
        assert!(error_of(notification).ends_with("which `translator = Sns` opens"));
        for kind in ["SubscriptionConfirmation", "UnsubscribeConfirmation"] {
            let notice = format!(
                r#"{{"Type": "{kind}", "TopicArn": "arn:aws:sns:local:1:t", "Message": "You have", "Token": "secret"}}"#
            );
            let error = error_of(notice.leak());
            assert!(
                error.ends_with(
                    "this is no event: SNS asks to confirm a subscription, by its `SubscribeURL`"
                ),
                "{error}"
            );
        }
        assert!(error_of(r#"{"Type": "SubscriptionConfirmation"}"#).ends_with("is missing"));
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
