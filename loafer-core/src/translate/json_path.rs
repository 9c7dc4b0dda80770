//! The path to a position in a JSON text: the field at which a decoder stopped.
//!
//! A decoder that tracks its path would be compiled again for every message type. This is compiled once.

use super::explain::Segment;

/// What is open around the position.
enum Open<'j> {
    /// An object. It has a key from the colon to the comma.
    Map(Option<&'j [u8]>),
    /// An array, with the index of the value.
    Array(usize),
}

/// Returns the path to the value that the decoder was reading when it stopped. The first line is 1, and the column is the number of bytes that were
/// read of that line.
pub(super) fn path(json: &[u8], line: usize, column: usize) -> Vec<Segment<'_>> {
    let open = open_at(json, offset(json, line, column));
    let segments = open.iter().filter_map(|open| match open {
        Open::Array(index) => Some(Segment::Index(*index)),
        Open::Map(key) => key.map(|key| match std::str::from_utf8(key) {
            Ok(name) => Segment::Name(name),
            Err(_) => Segment::Other,
        }),
    });
    segments.collect()
}

/// Returns the index of the byte behind this position.
pub(super) fn offset(json: &[u8], line: usize, column: usize) -> usize {
    let lines = json.split_inclusive(|byte| *byte == b'\n');
    let before: usize = lines.take(line.saturating_sub(1)).map(<[u8]>::len).sum();
    (before + column).min(json.len())
}

/// Returns what is open at `end`. The key of a value that ends there is still in it: it stays until the comma.
fn open_at(json: &[u8], end: usize) -> Vec<Open<'_>> {
    let mut open = Vec::new();
    let mut text: &[u8] = &[];
    let mut at = 0;
    while at < end {
        match json[at] {
            b'{' => open.push(Open::Map(None)),
            b'[' => open.push(Open::Array(0)),
            b'}' | b']' => _ = open.pop(),
            b':' => {
                if let Some(Open::Map(key)) = open.last_mut() {
                    *key = Some(text);
                }
            }
            b',' => match open.last_mut() {
                Some(Open::Map(key)) => *key = None,
                Some(Open::Array(index)) => *index += 1,
                None => {}
            },
            b'"' => {
                let start = at + 1;
                at = string_end(json, start);
                text = &json[start..at];
            }
            _ => {}
        }
        at += 1;
    }
    open
}

/// Returns where the closing quote of a string is, or the end of the text.
fn string_end(json: &[u8], start: usize) -> usize {
    let mut at = start;
    while at < json.len() && json[at] != b'"' {
        at += if json[at] == b'\\' { 2 } else { 1 };
    }
    at.min(json.len())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::translate::{explain::location_of, location};

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "decoded only")]
    struct Order {
        id: u8,
        #[serde(default)]
        lines: Vec<Line>,
        #[serde(default)]
        pair: Option<(u8, u8)>,
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "decoded only")]
    struct Line {
        item: String,
        #[serde(default)]
        kind: Kind,
    }

    #[derive(Debug, Default, Deserialize)]
    #[allow(dead_code, reason = "decoded only")]
    enum Kind {
        #[default]
        Plain,
        Gift(u8),
    }

    /// Returns the location that we find, once a decoder that tracks its path has found the same.
    fn of(json: &str) -> String {
        let error = serde_json::from_str::<Order>(json).unwrap_err();
        let ours = location_of(path(json.as_bytes(), error.line(), error.column()));
        let mut tracked = serde_json::Deserializer::from_str(json);
        let tracked = serde_path_to_error::deserialize::<_, Order>(&mut tracked).unwrap_err();
        assert_eq!(ours, location(tracked.path()), "{json}");
        ours
    }

    #[test]
    fn the_field_that_does_not_fit_is_found() {
        assert_eq!(of(r#"{"id": "x"}"#), " at `id`");
        assert_eq!(of(r#"{"id": 300 , "lines": []}"#), " at `id`");
        assert_eq!(of(r#"{"id": {"a": 1}}"#), " at `id`");
        assert_eq!(of(r#"{"id": [1, 2]}"#), " at `id`");
        assert_eq!(of(r#"{"id": null}"#), " at `id`");
        assert_eq!(of("{\"id\": 1,\n  \"lines\":\n  7}"), " at `lines`");
    }

    #[test]
    fn elements_of_lists_have_their_index() {
        assert_eq!(
            of(r#"{"id": 1, "lines": [{"item": "\"}]"}, 7]}"#),
            " at `lines[1]`"
        );
        assert_eq!(of(r#"{"id": 1, "lines": [{}]}"#), " at `lines[0]`");
        assert_eq!(
            of(r#"{"id": 1, "lines": [{"item": 7}]}"#),
            " at `lines[0].item`"
        );
        assert_eq!(of(r#"{"id": 1, "lines": [[], 7]}"#), " at `lines[0]`");
        assert_eq!(of(r#"{"id": 1, "pair": [1]}"#), " at `pair`");
        assert_eq!(of(r#"{"id": 1, "pair": [1, "x"]}"#), " at `pair[1]`");
    }

    #[test]
    fn what_is_missing_or_unknown_is_reported_of_the_whole() {
        assert_eq!(of("{}"), "");
        assert_eq!(of("[]"), "");
        assert_eq!(of("7"), "");
        assert_eq!(
            of(r#"{"id": 1, "lines": [{"kind": "Plain"}]}"#),
            " at `lines[0]`"
        );
    }

    #[test]
    fn variants_are_part_of_the_path() {
        let line = |kind| format!(r#"{{"id": 1, "lines": [{{"item": "a", "kind": {kind}}}]}}"#);
        assert_eq!(of(&line(r#""Other""#)), " at `lines[0].kind`");
        assert_eq!(of(&line(r#"{"Gift": "x"}"#)), " at `lines[0].kind.Gift`");
    }

    #[test]
    fn any_text_and_any_position_come_to_an_end() {
        for json in [
            "",
            "\"",
            "\"\\",
            "{\"a\\",
            "]]}},:",
            "{\"a\":[\"\\\"",
            "\u{fffd}{\"\u{e9}\":",
        ] {
            for column in 0..20 {
                _ = location_of(path(json.as_bytes(), column % 3, column));
            }
        }
    }
}
