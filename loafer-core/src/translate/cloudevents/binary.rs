//! The binary mode: attributes in headers, data as payload.

use crate::message::{Headers, Message};

/// What the protocol bindings put before the name of an attribute: HTTP and NATS, Kafka, AMQP, and AMQP in its other spelling.
const PREFIXES: [&str; 4] = ["ce-", "ce_", "cloudEvents:", "cloudEvents_"];

/// Returns whether the headers are those of an event.
pub(super) fn is_one(headers: &Headers) -> bool {
    headers.iter().any(|(name, _)| {
        attribute(name).is_some_and(|name| name.eq_ignore_ascii_case("specversion"))
    })
}

/// Returns the event with each attribute as header `ce-NAME`.
pub(super) fn open(raw: &Message) -> Message {
    let mut headers = raw.headers().clone();
    for (header, value) in raw.headers().iter() {
        let Some(name) = attribute(header) else {
            continue;
        };
        let name = format!("ce-{}", name.to_ascii_lowercase());
        if name != header {
            headers.remove(header);
            headers.insert(name, value);
        }
    }
    raw.clone().with_headers(headers)
}

/// Returns the name of the attribute that a header holds. `None` means that it holds none.
fn attribute(header: &str) -> Option<&str> {
    PREFIXES.iter().find_map(|prefix| {
        let (start, name) = header.split_at_checked(prefix.len())?;
        (start.eq_ignore_ascii_case(prefix) && !name.is_empty()).then_some(name)
    })
}
