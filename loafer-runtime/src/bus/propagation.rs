//! The headers that tie what a handler publishes to the message it handles: trace, correlation and causation.

use loafer_core::message::{
    CAUSATION_ID, CORRELATION_ID, EVENT_ID, Message, MessageId, Outgoing, TRACEPARENT, TRACESTATE,
};

/// Gives a message an event id, unless it has one. A message that is passed on stays the same event.
pub(super) fn identify(outgoing: Outgoing) -> Outgoing {
    match outgoing.message.event_id() {
        Some(_) => outgoing,
        None => outgoing.header(EVENT_ID, MessageId::new().to_string()),
    }
}

/// Adds the headers that tie a message to the message being handled, unless it has its own. A publisher leaves out the last of them first.
///
/// The trace is passed on unchanged: W3C Trace Context allows this for services that record no span of their own.
pub(super) fn carry(mut outgoing: Outgoing, handled: &Message) -> Outgoing {
    let traced = outgoing.message.headers().get(TRACEPARENT).is_some();
    let theirs = |name| {
        handled
            .headers()
            .get(name)
            .filter(|value| !value.is_empty())
    };
    let correlated = theirs(CORRELATION_ID).map(str::to_owned);
    let trace = |name| theirs(name).filter(|_| !traced).map(str::to_owned);
    let carried = [
        (TRACEPARENT, trace(TRACEPARENT)),
        (
            CORRELATION_ID,
            correlated.or_else(|| Some(handled.id().to_string())),
        ),
        (CAUSATION_ID, Some(handled.id().to_string())),
        // A `tracestate` means nothing without its `traceparent`.
        (
            TRACESTATE,
            trace(TRACESTATE).filter(|_| theirs(TRACEPARENT).is_some()),
        ),
    ];
    for (name, value) in carried {
        if let Some(value) = value
            && outgoing.message.headers().get(name).is_none()
        {
            outgoing = outgoing.header(name, value);
            outgoing.optional.push(name);
        }
    }
    outgoing
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handled() -> Message {
        Message::with_id("cause", "{}")
            .with_header(TRACEPARENT, "00-1-2-01")
            .with_header(TRACESTATE, "vendor=1")
            .with_header("tenant", "acme")
    }

    fn carried(outgoing: Message) -> Vec<(String, String)> {
        let outgoing = carry(Outgoing::new(outgoing), &handled());
        let headers = outgoing.message.headers().iter();
        headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    #[test]
    fn trace_correlation_and_causation_go_on_and_nothing_else() {
        let headers = carried(Message::new("{}"));
        let found: Vec<_> = headers
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        assert_eq!(
            found,
            [
                (TRACEPARENT, "00-1-2-01"),
                (CORRELATION_ID, "cause"),
                (CAUSATION_ID, "cause"),
                (TRACESTATE, "vendor=1"),
            ]
        );
    }

    #[test]
    fn a_correlation_goes_on_from_message_to_message() {
        let handled = handled().with_header(CORRELATION_ID, "first");
        let next = carry(Outgoing::new(Message::new("{}")), &handled);
        assert_eq!(next.message.correlation_id(), Some("first"));
    }

    #[test]
    fn what_the_sender_set_stays() {
        let own = Message::new("{}")
            .with_header(TRACEPARENT, "00-own")
            .with_header(CORRELATION_ID, "own");
        let outgoing = carry(Outgoing::new(own), &handled());
        let header = |name| outgoing.message.headers().get(name);
        assert_eq!(header(TRACEPARENT), Some("00-own"));
        assert_eq!(header(CORRELATION_ID), Some("own"));
        assert_eq!(header(TRACESTATE), None, "a state of another trace");
        assert_eq!(outgoing.optional, [CAUSATION_ID]);
    }

    #[test]
    fn a_new_event_has_an_id_and_one_that_is_passed_on_keeps_its_own() {
        let new = identify(Outgoing::new(Message::new("{}")));
        let id = new.message.event_id().unwrap_or_default().to_owned();
        assert_eq!(MessageId::from(&*id).to_string().len(), 36, "{id}");
        assert!(new.optional.is_empty(), "no publisher may leave it out");
        let passed_on = identify(Outgoing::new(new.message));
        assert_eq!(passed_on.message.event_id(), Some(&*id));
    }
}
