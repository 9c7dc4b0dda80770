//! Letters as text and as JSON.

use std::fmt::Write as _;

use loafer_core::broker::DeadLetter;
use loafer_runtime::dead_letters::{DeadLetterMessage, DeadLetterSummary};
use serde_json::{Map, Value, json};

use crate::routes;

const HEAD: [&str; 6] = ["ID", "FAILED AT", "KIND", "ATTEMPTS", "BYTES", "REASON"];

/// How much of a reason stands in a table.
const REASON: usize = 80;

/// A row a letter.
pub(super) fn table(letters: &[DeadLetterMessage]) -> String {
    if letters.is_empty() {
        return String::new();
    }
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(letters.iter().map(|letter| row(&letter.summary())));
    routes::table(&rows)
}

fn row(letter: &DeadLetterSummary) -> [String; 6] {
    let none = || "-".to_owned();
    let sent = || Some(format!("sent {}", letter.sent_at.as_ref()?));
    let reason = letter.reason.as_deref().unwrap_or("-");
    [
        letter.id.clone(),
        letter.failed_at.clone().or_else(sent).unwrap_or_else(none),
        letter.kind.clone(),
        letter.attempts.map_or_else(none, |count| count.to_string()),
        letter.bytes.to_string(),
        reason.chars().take(REASON).collect(),
    ]
    .map(|cell| line(&cell))
}

/// On one line, with nothing that moves the cursor: whoever can send to the queue wrote it.
pub(super) fn line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// An object a letter, each on a line of its own; without bodies.
pub(super) fn lines(letters: &[DeadLetterMessage]) -> serde_json::Result<String> {
    let mut text = String::new();
    for letter in letters {
        text.push_str(&serde_json::to_string(&letter.summary())?);
        text.push('\n');
    }
    Ok(text)
}

/// The whole letter, as one object on one line. A body that is no text is in hexadecimal digits, as `body_hex`.
pub(super) fn object(letter: &DeadLetterMessage) -> serde_json::Result<String> {
    let mut object = serde_json::to_value(letter.summary())?;
    object["headers"] = headers(letter)
        .map(|(name, value)| (name.to_owned(), Value::from(value)))
        .collect::<Map<_, _>>()
        .into();
    object["envelope"] = json!(letter.envelope);
    match std::str::from_utf8(letter.message.payload()) {
        Ok(body) => object["body"] = body.into(),
        Err(_) => object["body_hex"] = hex(letter.message.payload()).into(),
    }
    Ok(format!("{object}\n"))
}

/// The whole letter, for people: what is known of it, its headers, its envelope, its body as it is.
pub(super) fn whole(letter: &DeadLetterMessage) -> String {
    let summary = letter.summary();
    let mut text = String::new();
    let facts = [
        ("id", Some(summary.id)),
        ("kind", Some(summary.kind)),
        ("failed at", summary.failed_at),
        ("sent at", summary.sent_at),
        ("reason", summary.reason),
        ("attempts", summary.attempts.map(|count| count.to_string())),
        ("queue", summary.queue),
        ("group", summary.group),
        ("retried from", summary.retried_from),
    ];
    for (name, value) in facts {
        if let Some(value) = value {
            _ = writeln!(text, "{name}: {value}");
        }
    }
    let mut headers = headers(letter).peekable();
    if headers.peek().is_some() {
        text.push_str("\nheaders\n");
    }
    for (name, value) in headers {
        _ = writeln!(text, "  {name}: {value}");
    }
    if let Some(envelope) = &letter.envelope {
        let pretty = serde_json::to_string_pretty(envelope).unwrap_or_default();
        _ = writeln!(text, "\nenvelope\n  {}", pretty.replace('\n', "\n  "));
    }
    let body = letter.message.payload();
    _ = writeln!(text, "\nbody ({} bytes)", body.len());
    match std::str::from_utf8(body) {
        Ok(body) => text.push_str(body),
        Err(_) => text.push_str(&hex(body)),
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// As it is into a file or a pipe; on a terminal without what moves its cursor or changes its title.
pub(super) fn safe(text: String, terminal: bool) -> String {
    let harmful = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\t');
    match terminal && text.contains(harmful) {
        true => text.replace(harmful, "\u{FFFD}"),
        false => text,
    }
}

/// The headers without the envelope, which stands by itself.
fn headers(letter: &DeadLetterMessage) -> impl Iterator<Item = (&str, &str)> {
    let headers = letter.message.headers().iter();
    headers.filter(|(name, _)| letter.envelope.is_none() || *name != DeadLetter::HEADER)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use loafer_core::{message::Message, translate::Json};
    use loafer_memory::Memory;
    use loafer_runtime::program::{App, Manager, Route};

    use super::*;

    #[test]
    fn what_controls_a_terminal_is_shown_to_none() {
        let text = || "a\u{1b}[2J\n\tb".to_owned();
        assert_eq!(safe(text(), true), "a\u{FFFD}[2J\n\tb");
        assert_eq!(safe(text(), false), text());
    }

    #[tokio::test]
    async fn a_row_is_one_line_whoever_wrote_it() {
        let raw = "a\u{1b}[2J\nb\u{9b}2J";
        let envelope = serde_json::json!({
            "event_id": "1", "route": "orders", "queue": "orders", "handler": "h", "attempts": 2,
            "failed_at": raw, "kind": raw, "reason": raw,
        });
        let envelope: DeadLetter = serde_json::from_value(envelope).expect("an envelope");
        let memory = Memory::new();
        let message = Message::new("x").with_header(DeadLetter::HEADER, envelope.to_header());
        memory.send("orders-dlq", [message]);
        let route = Route::new("orders").handler(Json, async |_: u64| true);
        let app = App::new().broker(memory);
        let manager = Manager::builder().app(app).route(route).build();
        let manager = manager.expect("a manager");
        let letters = manager.dead_letters("orders").await.expect("its letters");
        let mut on = |_| ControlFlow::Continue(());
        let listed = letters.list(1, &mut on).await.expect("a list");
        let row = row(&listed.dead_letters[0].summary());
        assert_eq!(row[1..3], ["a [2J b 2J", "a [2J b 2J"]);
        assert!(!row.concat().contains(char::is_control), "{row:?}");
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_digits() {
        assert_eq!(hex(&[0, 255]), "00ff");
    }
}
