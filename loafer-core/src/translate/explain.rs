//! What an error may say of a value that does not fit its type: what serde says of the type, never what it says of the value.

use std::fmt::Write as _;

use serde_path_to_error::Path;

/// One step of the path to a value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Segment<'p> {
    Index(usize),
    /// The name of a field or a variant, or the key of a map.
    Name(&'p str),
    Other,
}

impl<'p> From<&'p serde_path_to_error::Segment> for Segment<'p> {
    fn from(segment: &'p serde_path_to_error::Segment) -> Self {
        use serde_path_to_error::Segment as Tracked;
        match segment {
            Tracked::Seq { index } => Self::Index(*index),
            Tracked::Map { key: name } | Tracked::Enum { variant: name } => Self::Name(name),
            Tracked::Unknown => Self::Other,
        }
    }
}

/// Returns ` at` and the path of field names, or an empty text for an empty path.
///
/// The key of a map may be data, so a key that does not look like the name of a field is left out. So is one with many digits, which may be an id.
pub fn location(path: &Path) -> String {
    location_of(path.iter().map(Into::into))
}

/// Returns the [`location`] of a path that serde did not track.
pub(super) fn location_of<'p>(path: impl IntoIterator<Item = Segment<'p>>) -> String {
    let mut text = String::new();
    for segment in path {
        let dot = if text.is_empty() { "" } else { "." };
        match segment {
            Segment::Index(index) => _ = write!(text, "[{index}]"),
            Segment::Name(name) if is_a_name(name) => _ = write!(text, "{dot}{name}"),
            _ => _ = write!(text, "{dot}…"),
        }
    }
    match text.is_empty() {
        true => text,
        false => format!(" at `{text}`"),
    }
}

fn is_a_name(key: &str) -> bool {
    let digits = key.bytes().filter(u8::is_ascii_digit).count();
    key.len() <= 64
        && digits <= 3
        && key.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && key
            .chars()
            .all(|sign| sign.is_ascii_alphanumeric() || sign == '_' || sign == '-')
}

/// Returns what serde's message says of the *type*, for example `: expected a string`. What it says of the value is left out.
pub fn expected(message: &str) -> String {
    let message = message
        .rsplit_once(" at line ")
        .map_or(message, |(message, _)| message);
    if let Some(field) = message
        .strip_prefix("missing field `")
        .and_then(|rest| rest.strip_suffix('`'))
    {
        return format!(": the field `{field}` is missing");
    }
    // The name is one of the type's own.
    if let Some(field) = message
        .strip_prefix("duplicate field `")
        .and_then(|rest| rest.strip_suffix('`'))
    {
        return format!(": the field `{field}` is there twice");
    }
    if message.starts_with("invalid type: string ")
        && message.ends_with(", expected a borrowed string")
    {
        return ": the string has an escape: take `Cow<str>` with `#[serde(borrow)]`, or `String`"
            .to_owned();
    }
    let of_serde = [
        "invalid type: ",
        "invalid value: ",
        "invalid length ",
        "unknown variant ",
        "unknown field ",
    ];
    // Messages with these ends have no `expected` of serde: one that is there is part of the value.
    let without_one = [", there are no variants", ", there are no fields"];
    if !of_serde.iter().any(|start| message.starts_with(start))
        || without_one.iter().any(|end| message.ends_with(end))
    {
        return String::new();
    }
    message
        .rsplit_once(", expected ")
        .map(|(_, expected)| format!(": expected {expected}"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_types_side_is_told() {
        assert_eq!(
            expected("invalid type: string \"secret\", expected u32 at line 1 column 9"),
            ": expected u32"
        );
        assert_eq!(
            expected("missing field `id` at line 1 column 2"),
            ": the field `id` is missing"
        );
        assert_eq!(expected("no such customer: secret, expected another"), "");
    }

    #[test]
    fn keys_that_may_be_data_are_no_names() {
        for name in ["id", "_type", "content-type", "sha256"] {
            assert!(is_a_name(name), "{name}");
        }
        for key in [
            "",
            "two words",
            "7",
            "ana@example.org",
            "customer-20731",
            "a1b2c3d4-0000",
        ] {
            assert!(!is_a_name(key), "{key}");
        }
    }

    #[test]
    fn a_value_that_speaks_like_serde_is_not_told() {
        assert_eq!(
            expected("unknown variant `x, expected secret`, there are no variants"),
            ""
        );
        assert_eq!(
            expected("unknown field `x, expected secret`, there are no fields"),
            ""
        );
    }
}
