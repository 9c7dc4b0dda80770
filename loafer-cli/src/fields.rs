//! The fields of log lines for people.

use std::{
    borrow::Cow,
    error::Error,
    fmt::{self, Debug, Write as _},
};

use tracing::field::{Field, Visit};
use tracing_subscriber::{
    field::RecordFields,
    fmt::{FormatFields, format::Writer},
};

/// About as long as the fields of a message's span.
const LENGTH: usize = 128;

/// Writes fields as `name=value`, separated by blanks, and the text of an event as it is.
///
/// Every message has a span, whose fields are written whether anybody logs or not. So they are put together in one string of the right
/// size, and then checked for what could control a terminal. The library's own way, one character at a time, takes longer than the handling
/// of the message.
pub(crate) struct Fields;

impl<'w> FormatFields<'w> for Fields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut line = Line(String::with_capacity(LENGTH));
        fields.record(&mut line);
        writer.write_str(&harmless(&line.0))
    }
}

/// Returns a line without control characters, which text from outside could use to control a terminal.
fn harmless(line: &str) -> Cow<'_, str> {
    if line.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Cow::Borrowed(line);
    }
    let mut clean = String::with_capacity(line.len());
    for character in line.chars() {
        if character.is_control() && !matches!(character, '\n' | '\t') {
            clean.extend(character.escape_unicode());
        } else {
            clean.push(character);
        }
    }
    Cow::Owned(clean)
}

struct Line(String);

impl Line {
    fn name(&mut self, field: &Field) {
        if !self.0.is_empty() {
            self.0.push(' ');
        }
        let name = field.name();
        if name != "message" {
            self.0.push_str(name.strip_prefix("r#").unwrap_or(name));
            self.0.push('=');
        }
    }
}

// Writing to a string never fails.
impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.name(field);
        _ = write!(self.0, "{value:?}");
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.name(field);
        _ = if field.name() == "message" {
            self.0.write_str(value)
        } else {
            write!(self.0, "{value:?}")
        };
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.name(field);
        _ = write!(self.0, "{value}");
        let mut cause = value.source();
        while let Some(error) = cause {
            _ = write!(self.0, ": {error}");
            cause = error.source();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobodys_text_steers_a_terminal() {
        assert_eq!(harmless("ana ~ 7"), "ana ~ 7");
        assert_eq!(harmless("é\tü\nñ"), "é\tü\nñ");
        assert_eq!(
            harmless("\u{1b}[2J\u{7}\u{9b}é"),
            "\\u{1b}[2J\\u{7}\\u{9b}é"
        );
    }
}
