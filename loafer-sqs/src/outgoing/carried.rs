//! What SQS and SNS carry: characters, names of attributes, and which headers are the first to go. Other brokers carry any text.

use std::borrow::Cow;

use loafer_core::{broker::DueTime, message::Message};

use crate::names::is_set_by_sqs;

/// The longest name of an attribute (SQS guide, "message metadata").
const NAME: usize = 256;

/// Returns the headers of a message to publish. An optional one that can't be carried is left out.
///
/// # Errors
///
/// Names the header that can't be carried, and why.
pub(super) fn headers<'m>(
    message: &'m Message,
    optional: &[&str],
) -> Result<Vec<(&'m str, Cow<'m, str>)>, String> {
    let mut headers = Vec::with_capacity(message.headers().len());
    for (name, value) in message.headers().iter() {
        if is_set_by_sqs(name) || name == DueTime::HEADER {
            continue;
        }
        match fault(name, value) {
            None => headers.push((name, Cow::Borrowed(value))),
            Some(_) if optional.contains(&name) || is_of_envelope(name) => {}
            Some(fault) => return Err(format!("the header `{}` {fault}", name.escape_debug())),
        }
    }
    Ok(headers)
}

/// Returns whether a header only says how an envelope was opened (`Sns`, `EventBridge`, `Cloudevents`). Whoever passes the message on did not write it.
/// What makes a message a CloudEvent is not among them.
pub(super) fn is_of_envelope(name: &str) -> bool {
    let mut envelopes = ["sns-", "eventbridge-", "ce-"].iter();
    let is_needed = ["ce-id", "ce-source", "ce-specversion", "ce-type"].contains(&name);
    !is_needed && envelopes.any(|envelope| name.starts_with(envelope))
}

/// Returns the first character that SQS and SNS refuse, with its place.
pub(super) fn refused(text: &str) -> Option<String> {
    let (at, letter) = text
        .char_indices()
        .find(|(_, letter)| is_refused(*letter))?;
    Some(format!(
        "the character U+{:04X} at byte {at}",
        u32::from(letter)
    ))
}

/// Returns whether SQS and SNS refuse a character. They take those of XML 1.0 (SQS API: `SendMessage`).
pub(super) fn is_refused(letter: char) -> bool {
    matches!(
        letter,
        '\0'..='\u{8}' | '\u{B}' | '\u{C}' | '\u{E}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}'
    )
}

/// Says why a header can't be an attribute (SQS API: `SendMessage`, `MessageAttributes`).
fn fault(name: &str, value: &str) -> Option<String> {
    if value.is_empty() {
        return Some("is empty: SQS and SNS refuse empty attributes".to_owned());
    }
    if let Some(found) = refused(value) {
        return Some(format!(
            "has {found}: SQS and SNS refuse it; escape it, or send the value as bytes by `Outgoing::header_value`"
        ));
    }
    let cause = name_fault(name)?;
    Some(format!(
        "{cause}: SQS and SNS take names of up to {NAME} letters, digits, `-`, `_` and single dots; rename it"
    ))
}

fn name_fault(name: &str) -> Option<String> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    let is_of_aws = |start: &str| {
        name.get(..start.len())
            .is_some_and(|of| of.eq_ignore_ascii_case(start))
    };
    if let Some(letter) = name.chars().find(|letter| !fits(*letter)) {
        return Some(format!("has `{}` in its name", letter.escape_debug()));
    }
    if name.is_empty() {
        return Some("has no name".to_owned());
    }
    if name.len() > NAME {
        return Some(format!("has a name of {} letters", name.len()));
    }
    if name.starts_with('.') || name.ends_with('.') || name.contains("..") {
        return Some("has a dot at an end of its name, or two in a row".to_owned());
    }
    ["AWS.", "Amazon."]
        .into_iter()
        .find(|start| is_of_aws(start))
        .map(|start| format!("begins with `{start}`, which is reserved"))
}

#[cfg(test)]
mod tests {
    use loafer_core::message::Outgoing;

    use super::super::Entry;
    use super::*;

    fn said(message: Message) -> String {
        let outgoing = Outgoing::from(message);
        Entry::of(&outgoing, false).err().unwrap_or_default()
    }

    #[test]
    fn what_no_attribute_can_be_is_named_before_the_call() {
        for (name, value, expected) in [
            (
                "cloudEvents:id",
                "1",
                "the header `cloudEvents:id` has `:` in its name",
            ),
            ("a b", "1", "the header `a b` has ` ` in its name"),
            (
                "aws.trace",
                "1",
                "the header `aws.trace` begins with `AWS.`",
            ),
            (
                "Amazon.x",
                "1",
                "the header `Amazon.x` begins with `Amazon.`",
            ),
            (
                "a..b",
                "1",
                "the header `a..b` has a dot at an end of its name, or two in a row",
            ),
            (".a", "1", "the header `.a` has a dot"),
            ("a", "", "the header `a` is empty"),
            (
                "a",
                "x\u{0}",
                "the header `a` has the character U+0000 at byte 1",
            ),
            (
                "a",
                "\u{FFFF}",
                "the header `a` has the character U+FFFF at byte 0",
            ),
        ] {
            let said = said(Message::new("{}").with_header(name, value));
            assert!(said.starts_with(expected), "{said}");
        }
        let long = said(Message::new("{}").with_header("n".repeat(257), "1"));
        assert!(long.contains("has a name of 257 letters"), "{long}");
        let fits = Message::new("{}").with_header("A-z_0.9", "tab\tline\n\u{FFFD}\u{1F600}");
        assert_eq!(said(fits), "");
    }

    #[test]
    fn a_character_of_the_payload_is_named_with_its_place() {
        let said = |payload: &'static str| said(Message::new(payload));
        let expected = "the payload has the character U+001B at byte 3: SQS and SNS refuse it";
        assert!(said("a\u{e9}\u{1b}[1m").starts_with(expected));
        assert!(said("x\u{FFFE}").starts_with("the payload has the character U+FFFE at byte 1"));
        assert_eq!(said("a\tb\r\n\u{7f}\u{10FFFF}"), "");
    }

    #[test]
    fn headers_of_an_opened_envelope_go_first_and_the_trace_last() {
        let names = ["sns-message-id", "sns-topic-arn", "traceparent", "own"];
        let mut message = names.iter().fold(Message::new("{}"), |message, name| {
            message.with_header(*name, "1")
        });
        for n in 0..7 {
            message = message.with_header(format!("h{n}"), "1");
        }
        let left_out = |message: Message| {
            let mut outgoing = Outgoing::from(message);
            outgoing.optional = vec!["traceparent"];
            let entry = Entry::of(&outgoing, false).unwrap();
            assert_eq!(entry.headers.len(), 10);
            let left = |name: &&str| entry.headers.iter().all(|(of, _)| of != name);
            names.into_iter().filter(left).collect::<Vec<_>>()
        };
        assert_eq!(left_out(message.clone()), ["sns-topic-arn"]);
        let message = message.with_header("h7", "1").with_header("h8", "1");
        let all = ["sns-message-id", "sns-topic-arn", "traceparent"];
        assert_eq!(left_out(message), all);
    }

    #[test]
    fn an_optional_header_that_can_not_be_carried_is_left_out() {
        let mut outgoing = Outgoing::from(Message::new("{}").with_header("tracestate", "\u{1}"));
        outgoing.optional = vec!["tracestate"];
        assert!(Entry::of(&outgoing, false).unwrap().headers.is_empty());
    }
}
