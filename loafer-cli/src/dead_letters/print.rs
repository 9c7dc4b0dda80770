//! Dead letters as text and as JSON.

use std::fmt::Write as _;

use loafer_core::broker::DeadLetter;
use loafer_runtime::dead_letters::{DeadLetterMessage, DeadLetterSummary};
use serde_json::{Map, Value, json};

use crate::routes;

const HEAD: [&str; 6] = ["ID", "FAILED AT", "KIND", "ATTEMPTS", "BYTES", "REASON"];

/// How many characters of a reason stand in a table.
const REASON: usize = 80;

/// Returns a table with one row for each dead letter.
pub(super) fn table(dead_letters: &[DeadLetterMessage]) -> String {
    if dead_letters.is_empty() {
        return String::new();
    }
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(
        dead_letters
            .iter()
            .map(|dead_letter| row(&dead_letter.summary())),
    );
    routes::table(&rows)
}

fn row(dead_letter: &DeadLetterSummary) -> [String; 6] {
    let none = || "-".to_owned();
    let sent = || Some(format!("sent {}", dead_letter.sent_at.as_ref()?));
    let reason = dead_letter.reason.as_deref().unwrap_or("-");
    [
        dead_letter.id.clone(),
        dead_letter
            .failed_at
            .clone()
            .or_else(sent)
            .unwrap_or_else(none),
        dead_letter.kind.clone(),
        dead_letter
            .attempts
            .map_or_else(none, |count| count.to_string()),
        dead_letter.bytes.to_string(),
        reason.chars().take(REASON).collect(),
    ]
    .map(|cell| line(&cell))
}

/// Returns the text on one line, without anything that moves the cursor: whoever can send to the queue wrote it.
pub(super) fn line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// Returns one JSON object for each dead letter, each on a line of its own, without bodies: with the queue it is in, and the routes of that queue.
pub(super) fn lines(
    dead_letters: &[DeadLetterMessage],
    queue: &str,
    routes: &[String],
) -> serde_json::Result<String> {
    let mut text = String::new();
    for dead_letter in dead_letters {
        let mut object = serde_json::to_value(dead_letter.summary())?;
        object["dead_letter_queue"] = queue.into();
        object["routes"] = routes.into();
        text.push_str(&format!("{object}\n"));
    }
    Ok(text)
}

/// Returns the whole dead letter as one JSON object on one line. A body that is not text is written in hexadecimal digits, as `body_hex`.
pub(super) fn object(dead_letter: &DeadLetterMessage) -> serde_json::Result<String> {
    let mut object = serde_json::to_value(dead_letter.summary())?;
    object["headers"] = headers(dead_letter)
        .map(|(name, value)| (name.to_owned(), Value::from(value)))
        .collect::<Map<_, _>>()
        .into();
    object["envelope"] = json!(dead_letter.envelope);
    match std::str::from_utf8(dead_letter.message.payload()) {
        Ok(body) => object["body"] = body.into(),
        Err(_) => object["body_hex"] = hex(dead_letter.message.payload()).into(),
    }
    Ok(format!("{object}\n"))
}

/// Returns the whole dead letter for people: what is known of it, its headers, its envelope, and its body as it is.
pub(super) fn whole(dead_letter: &DeadLetterMessage) -> String {
    let summary = dead_letter.summary();
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
    let mut headers = headers(dead_letter).peekable();
    if headers.peek().is_some() {
        text.push_str("\nheaders\n");
    }
    for (name, value) in headers {
        _ = writeln!(text, "  {name}: {value}");
    }
    if let Some(envelope) = &dead_letter.envelope {
        let pretty = serde_json::to_string_pretty(envelope).unwrap_or_default();
        _ = writeln!(text, "\nenvelope\n  {}", pretty.replace('\n', "\n  "));
    }
    let body = dead_letter.message.payload();
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

/// Returns the text as it is for a file or a pipe. For a terminal, replaces what would move its cursor or change its title.
pub(super) fn safe(text: String, terminal: bool) -> String {
    let harmful = |character: char| character.is_control() && !matches!(character, '\n' | '\t');
    match terminal && text.contains(harmful) {
        true => text.replace(harmful, "\u{FFFD}"),
        false => text,
    }
}

/// Returns the headers without the envelope, which stands by itself.
fn headers(dead_letter: &DeadLetterMessage) -> impl Iterator<Item = (&str, &str)> {
    let headers = dead_letter.message.headers().iter();
    headers.filter(|(name, _)| dead_letter.envelope.is_none() || *name != DeadLetter::HEADER)
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
        let dead_letters = manager
            .dead_letters("orders")
            .await
            .expect("its dead letters");
        let mut on = |_| ControlFlow::Continue(());
        let listed = dead_letters.list(1, &mut on).await.expect("a list");
        let row = row(&listed.dead_letters[0].summary());
        assert_eq!(row[1..3], ["a [2J b 2J", "a [2J b 2J"]);
        assert!(!row.concat().contains(char::is_control), "{row:?}");
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_digits() {
        assert_eq!(hex(&[0, 255]), "00ff");
    }
}
