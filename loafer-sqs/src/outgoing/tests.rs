use std::time::{Duration, Instant};

use loafer_core::broker::DeadLetter;

use super::*;
use crate::message::{Labels, folded};

fn envelope() -> DeadLetter {
    DeadLetter {
        event_id: "e-1".into(),
        message_id: "1".into(),
        correlation_id: None,
        route: "orders".into(),
        queue: "orders".into(),
        topic: None,
        handler: "ship".into(),
        attempts: 3,
        deliveries: 3,
        first_failed_at: None,
        failed_at: "2026-01-01T00:00:00Z".into(),
        kind: "rejected".into(),
        reason: Some("r".repeat(512)),
        retried_from: None,
    }
}

fn with_headers(count: usize, payload: String) -> Message {
    (0..count).fold(Message::new(payload), |message, n| {
        message.with_header(format!("h{n}"), n.to_string())
    })
}

const NONE: &Labels = &Vec::new();

fn dead(message: &Message) -> Entry<'_> {
    Entry::dead_letter(message, NONE, &envelope(), false, SQS_BYTES).unwrap()
}

#[test]
fn nine_headers_stand_beside_the_envelope() {
    let message = with_headers(9, "{}".into());
    let entry = dead(&message);
    assert_eq!(entry.headers.len(), 10);
    assert_eq!(folded(&entry.headers[9].1), None);
}

#[test]
fn the_tenth_header_folds_into_the_envelope_and_comes_out_again() {
    let message = with_headers(10, "{}".into()).with_header(TRACE, "Root=1");
    let entry = dead(&message);
    assert_eq!(entry.headers.len(), 10);
    assert_eq!(entry.trace, Some("Root=1"));
    let header = &entry.headers[9].1;
    assert_eq!(folded(header).unwrap(), [("h9".into(), "9".into())].into());
    let read =
        DeadLetter::of(&Message::new("").with_header(DeadLetter::HEADER, header.as_ref())).unwrap();
    assert_eq!(read.kind, "rejected");
}

#[test]
fn texts_are_folded_before_numbers_and_bytes_and_the_id_of_the_event_never() {
    let mut headers: Headers = [(EVENT_ID, "e-1"), ("first", "1"), ("second", "2")]
        .into_iter()
        .collect();
    (0..8).for_each(|n| headers.insert_value(format!("n{n}"), n));
    let message = Message::new("{}").with_headers(headers);
    let labels = vec![("n7".to_owned(), "Number.cents".to_owned())];
    let dead = || Entry::dead_letter(&message, &labels, &envelope(), false, SQS_BYTES).unwrap();
    let entry = dead();
    let types: HashMap<_, _> = entry
        .attributes()
        .map(|(name, kind, _)| (name, kind))
        .collect();
    assert_eq!(types.len(), 10);
    assert_eq!((types[EVENT_ID], types["n0"]), ("String", "Number"));
    assert_eq!(types["n7"], "Number.cents");
    let folded = folded(&entry.headers[9].1).unwrap();
    assert_eq!(folded.keys().collect::<Vec<_>>(), ["first", "second"]);
}

#[test]
fn the_copy_of_an_early_message_keeps_types_and_their_labels() {
    let mut headers = Headers::new();
    headers.insert_value("price", 7);
    let message = Message::new("{}").with_headers(headers);
    let labels = vec![("price".to_owned(), "Number.cents".to_owned())];
    let until = DueTime::after(Duration::from_secs(60), Instant::now());
    let copy = Entry::deferred(&message, &labels, until, Duration::from_secs(60)).unwrap();
    let types: Vec<_> = copy.attributes().map(|(_, kind, _)| kind).collect();
    assert_eq!(types, ["Number.cents", "String"]);
}

#[test]
fn optional_headers_make_room_and_the_id_of_the_event_stays() {
    let full = with_headers(9, "{}".into()).with_header(EVENT_ID, "e-1");
    let mut outgoing = Outgoing::from(full.clone().with_header("spare", "1"));
    outgoing.optional = vec!["spare", EVENT_ID];
    let entry = Entry::of(&outgoing, false).unwrap();
    assert_eq!(entry.headers.len(), 10);
    assert!(entry.headers.iter().any(|(name, _)| *name == EVENT_ID));

    // Kept on S3, a payload needs one attribute more.
    let mut entry = Entry::of(&outgoing, false).unwrap();
    let refused = entry.offload(&[EVENT_ID]).unwrap_err();
    assert!(
        refused.ends_with("`event-id`): SQS and SNS carry 9, where the payload is on S3; move some into the payload"),
        "{refused}"
    );

    let outgoing = Outgoing::from(full.with_header("own", "1"));
    let refused = Entry::of(&outgoing, false).err().unwrap_or_default();
    let said = "11 headers (`h0`, `h1`, `h2`, `h3`, `h4`, `h5`, `h6`, `h7`, `h8`, `event-id`, `own`): SQS and SNS carry 10; move some into the payload";
    assert_eq!(refused, said);
}

#[test]
fn an_older_envelope_is_replaced_and_not_counted() {
    let message = with_headers(9, "{}".into()).with_header(DeadLetter::HEADER, "old");
    let entry = dead(&message);
    assert_eq!(entry.headers.len(), 10);
    assert!(entry.headers[9].1.starts_with('{'));
}

#[test]
fn the_reason_goes_where_it_makes_the_message_too_large() {
    let spare = 400;
    let message = Message::new("x".repeat(SQS_BYTES - spare));
    let entry = dead(&message);
    assert!(entry.bytes() <= SQS_BYTES);
    assert!(!entry.headers[0].1.contains("reason"));
}

#[test]
fn a_message_too_large_without_its_reason_is_no_dead_letter() {
    let message = Message::new("x".repeat(SQS_BYTES - 10));
    let refused = Entry::dead_letter(&message, NONE, &envelope(), false, SQS_BYTES);
    let said = refused.err().unwrap_or_default();
    assert!(said.ends_with("1048576 is the most there"), "{said}");
}

#[test]
fn a_fifo_dead_letter_has_group_and_deduplication_id() {
    let message = Message::with_id("id-1", "{}");
    let entry = Entry::dead_letter(&message, NONE, &envelope(), true, SQS_BYTES).unwrap();
    assert_eq!(
        (entry.group.as_deref(), entry.deduplication_id.as_deref()),
        (Some("loafer"), Some("id-1"))
    );
    let message = message.with_group("g");
    let entry = Entry::dead_letter(&message, NONE, &envelope(), true, SQS_BYTES).unwrap();
    assert_eq!(entry.group.as_deref(), Some("g"));
}

#[test]
fn what_sqs_cannot_carry_is_refused() {
    let error = |message: Message, fifo| Entry::of(&message.into(), fifo).err().unwrap_or_default();
    assert!(error(Message::new(""), false).contains("empty"));
    assert!(error(Message::new(vec![0xFF]), false).contains("UTF-8"));
    assert!(error(with_headers(11, "{}".into()), false).contains("11 headers"));
    assert!(error(Message::new("{}").with_header("h", ""), false).contains("`h`"));
    assert!(error(Message::new("{}"), true).contains("Outgoing::group"));
    assert_eq!(
        error(
            with_headers(10, "{}".into()).with_header("SequenceNumber", "1"),
            false
        ),
        ""
    );
}

#[test]
fn sizes_count_name_type_and_value() {
    let outgoing = Message::new("12345").with_header("ab", "xyz").into();
    assert_eq!(Entry::of(&outgoing, false).unwrap().bytes(), 5 + 2 + 6 + 3);
}

#[test]
fn calls_are_of_ten_and_within_the_limit() {
    assert_eq!(calls(&[1; 25], 100), [0..10, 10..20, 20..25]);
    assert_eq!(calls(&[60, 50, 40, 70], 100), [0..1, 1..3, 3..4]);
    assert_eq!(calls(&[200, 1], 100), [0..1, 1..2]);
    assert!(calls(&[], 100).is_empty());
}

#[test]
fn what_sqs_refuses_in_a_value_is_replaced() {
    assert_eq!(allowed("a\u{FFFF}b"), "a\u{FFFD}b");
    assert!(matches!(allowed("plain"), Cow::Borrowed(_)));
}
