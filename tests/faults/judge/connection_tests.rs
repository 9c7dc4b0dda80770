//! The judge is judged where deliveries are their connection's: each fault is seen, and a reason counts only where it is one.

use super::tests::{fault, judged};
use super::{DeadMessage, Envelope, Hold, Rules, Verdict};
use crate::job::End;

const RULES: Rules = Rules {
    hold: Hold::Connection,
    max_attempts: Some(3),
};

/// How every message begins; consumer 7 is at proxy a, consumer 8 at b.
const BEGIN: &str = "0 up 7 a; 0 up 8 b; 1 published 1 publisher; 1 accepted 1";
const ONCE: &str = "2 given 1 1 a; 3 start 1 1 7; 4 said 1 1 7 true; 5 deleting 1 1";
/// Put off by a second, to be attempt 2.
const FAILED: &str = "2 given 1 1 a; 3 start 1 1 7; 4 said 1 1 7 err; 5 copying 1 2 1000 a; 6 waiting 1 2; 7 deleting 1 1";
const AGAIN: &str = "1010 given 1 2 b; 1011 start 1 2 8; 1012 said 1 2 8 true; 1013 deleting 1 2";

/// Message 1, to be handled, by these pieces of a ledger.
fn handled(pieces: &[&str]) -> Verdict {
    let ledger = [&[BEGIN], pieces].concat().join("; ");
    judged(RULES, End::Acked, &[], &ledger)
}

/// Message 1, to be a dead letter, with such envelopes.
fn dead_letter(end: End, envelopes: &[Envelope], pieces: &[&str]) -> Verdict {
    let ledger = [&[BEGIN], pieces].concat().join("; ");
    let dead_letters: Vec<_> = envelopes
        .iter()
        .map(|envelope| DeadMessage {
            id: 1,
            envelope: envelope.clone(),
        })
        .collect();
    judged(RULES, end, &dead_letters, &ledger)
}

fn says(kind: &str, attempts: u64) -> Envelope {
    Envelope::Read {
        kind: kind.to_owned(),
        attempts,
    }
}

#[track_caller]
fn nothing(verdict: &Verdict) {
    assert!(verdict.faults.is_empty(), "{:?}", verdict.faults);
}

#[test]
fn a_message_that_failed_and_was_handled_is_no_fault() {
    nothing(&handled(&[ONCE]));
    let verdict = handled(&[FAILED, AGAIN]);
    nothing(&verdict);
    assert_eq!(
        (verdict.retries, verdict.starts, verdict.handled),
        (1, 2, 1)
    );
}

#[test]
fn a_confirm_that_the_server_never_gave_is_a_fault() {
    let begin = BEGIN.replace("; 1 accepted 1", "");
    let verdict = judged(RULES, End::Acked, &[], &format!("{begin}; {ONCE}"));
    fault(&verdict, "was confirmed by the publisher alone");
}

#[test]
fn an_ack_before_the_copy_is_confirmed_is_a_fault() {
    let early = FAILED.replace(
        "6 waiting 1 2; 7 deleting 1 1",
        "6 deleting 1 1; 7 waiting 1 2",
    );
    fault(&handled(&[&early, AGAIN]), "before its copy was there");
    let before = ONCE.replace("4 said 1 1 7 true; ", "");
    fault(&handled(&[&before]), "acked before anybody said true");
    let none = FAILED.replace("6 waiting 1 2", "6 returned 1");
    let verdict = handled(&[&none]);
    fault(&verdict, "before its copy was there");
    fault(&verdict, "was lost");
}

#[test]
fn a_copy_that_counts_no_attempt_is_a_fault() {
    let uncounted = FAILED
        .replace("copying 1 2", "copying 1 1")
        .replace("waiting 1 2", "waiting 1 1");
    let again = AGAIN.replace("given 1 2", "given 1 1");
    let verdict = handled(&[&uncounted, &again]);
    fault(&verdict, "was put off for attempt 1");
    fault(&verdict, "was given again as attempt 1");
}

#[test]
fn a_retry_before_its_time_is_a_fault() {
    let early = AGAIN.replace("1010 given", "900 given");
    fault(&handled(&[FAILED, &early]), "was given again 105 ms early");
    let later = FAILED.replace("7 err", "7 later");
    fault(&handled(&[&later, AGAIN]), "was put off for 1000 ms");
}

#[test]
fn attempts_end_where_they_are_used_up() {
    let beyond = FAILED
        .replace("1 1 7", "1 3 7")
        .replace("copying 1 2", "copying 1 4");
    fault(&handled(&[&beyond]), "was put off for attempt 4");
    let begun = |between: &str| {
        format!(
            "{ONCE}; {between}; 50 given 1 4 a; 51 start 1 4 7; 52 said 1 4 7 true; 53 deleting 1 4"
        )
    };
    // The end of a connection costs no attempt, and so excuses none.
    for between in ["6 frozen 7 1", "6 closed a"] {
        fault(&handled(&[&begun(between)]), "was handled as attempt 4");
        fault(
            &handled(&[&begun(between)]),
            "was given as attempt 4 after 1",
        );
    }
}

#[test]
fn what_came_twice_needs_the_end_of_its_connection() {
    let twice = |between: &str| {
        let again = "3000 given 1 1 b; 3001 start 1 1 8; 3002 said 1 1 8 true; 3003 deleting 1 1";
        handled(&[ONCE, between, again])
    };
    for (between, why) in [
        ("6 closed a", "connection ended"),
        ("6 killed 7; 7 closed a", "consumer killed"),
        ("6 trouble server down; 7 over server", "server down"),
    ] {
        let verdict = twice(between);
        nothing(&verdict);
        let found: Vec<_> = verdict.again.iter().collect();
        assert_eq!(found, [(&why.to_owned(), &1)]);
    }
    // No lease runs out, and what is handed on by the broker is settled.
    for between in [
        "6 stopped 7; 2999 continued 7",
        "6 trouble a stall; 2999 over a",
        "6 closed b",
        "6 dropped a",
        "2500 closed a",
    ] {
        fault(&twice(between), "was handled again without a reason");
    }
}

#[test]
fn two_copies_need_a_confirm_that_was_lost() {
    let twice = |between: &str| {
        let second = "8 copying 1 2 1000 a; 9 waiting 1 2";
        let other = AGAIN.replace("10", "20").replace(" 8", " 7");
        let failed = FAILED.replace("; 6 waiting 1 2; 7 deleting 1 1", "");
        handled(&[&failed, between, second, "10 deleting 1 1", AGAIN, &other])
    };
    nothing(&twice("6 dropped a"));
    fault(&twice("6 dropped b"), "was handled again without a reason");
}

#[test]
fn two_copies_of_what_is_due_need_an_ack_or_a_confirm_that_was_lost() {
    let carry = |at: u64, proxy: &str| format!("{at} due 1 2 {proxy}; {at} carrying 1 2 {proxy}");
    // Later than the end of a connection could bring the first delivery again.
    let (one, other) = (AGAIN.replace("101", "301"), AGAIN.replace("101", "401"));
    let twice = |between: &str| {
        let (first, again) = (carry(3005, "a"), carry(3990, "b"));
        let acked = "3991 carried 1 2 b";
        handled(&[FAILED, &first, between, &one, &again, acked, &other])
    };
    nothing(&twice("3006 closed a"));
    nothing(&twice("3006 carried 1 2 a; 3007 closed a"));
    for between in ["3006 closed b", "3006 dropped a", "3006 carried 1 2 a"] {
        fault(&twice(between), "was given again as attempt 2");
    }
    // Not carried on again, there are no two copies.
    let first = carry(3005, "a");
    let once = handled(&[FAILED, &first, "3006 closed a", &one, &other]);
    fault(&once, "was given again as attempt 2");

    let waits = |between: &str| {
        let again = "3008 copying 1 2 1000 a; 3009 waiting 1 2; 3009 carried 1 2 a";
        handled(&[FAILED, &first, between, again, &one, &other])
    };
    nothing(&waits("3006 dropped a"));
    fault(&waits("3006 dropped b"), "was given again as attempt 2");
}

#[test]
fn an_isolated_copy_is_given_once_more() {
    let isolated = "2 given 1 1 a; 3 isolating 1 1 a; 4 isolated 1 1";
    let again = "6 given 1 1 b; 7 start 1 1 8; 8 said 1 1 8 true; 9 deleting 1 1 b";
    let verdict = handled(&[isolated, "5 deleting 1 1 a", again]);
    nothing(&verdict);
    assert_eq!((verdict.isolated, verdict.returned.len()), (1, 0));
    // The copy may be given before the ack.
    nothing(&handled(&[isolated, again, "10 deleting 1 1 a"]));

    let unconfirmed = isolated.replace("; 4 isolated 1 1", "");
    fault(
        &handled(&[&unconfirmed, "5 deleting 1 1 a", again]),
        "acked before anybody said true",
    );
    let twice = "5 deleting 1 1 a; 6 given 1 1 b; 7 deleting 1 1 b";
    fault(
        &handled(&[isolated, twice]),
        "acked before anybody said true",
    );
    let third = "20 given 1 1 a; 21 deleting 1 1 a";
    let verdict = handled(&[isolated, "5 deleting 1 1 a", again, third]);
    fault(&verdict, "was given again as attempt 1");
    // Sent again, since nobody said that it had come, it is there twice.
    let lost = "2 given 1 1 a; 3 isolating 1 1 a; 4 dropped a; 5 isolating 1 1 a; 6 isolated 1 1; 7 deleting 1 1 a";
    let both = "8 given 1 1 b; 9 start 1 1 8; 10 said 1 1 8 true; 11 deleting 1 1 b; 12 given 1 1 b; 13 start 1 1 8; 14 said 1 1 8 true; 15 deleting 1 1 b";
    nothing(&handled(&[lost, both]));
    let kept = lost.replace("4 dropped a; ", "");
    fault(
        &handled(&[&kept, both]),
        "was handled again without a reason",
    );
}

#[test]
fn only_what_failed_counts() {
    // Begun on a connection that ended, and then as the same attempt on another.
    let cut = "2 given 1 1 a; 3 start 1 1 7; 6 closed a; 6 left 1 1 7";
    let again = "20 given 1 1 b; 21 start 1 1 8; 22 said 1 1 8 true; 23 deleting 1 1";
    let verdict = handled(&[cut, again]);
    nothing(&verdict);
    let found: Vec<_> = verdict.returned.iter().collect();
    assert_eq!(found, [(&"connection ended".to_owned(), &1)]);
    let unasked = cut.replace("closed a", "frozen 7 1");
    fault(&handled(&[&unasked, again]), "was given again as attempt 1");
    let counted = again.replace("1 1", "1 2");
    fault(
        &handled(&[cut, &counted]),
        "was given again, and nobody asked",
    );
    let second = "20 given 1 2 b; 21 start 1 2 8; 22 said 1 2 8 true; 23 deleting 1 2";
    for before in ["10 frozen 7 1", "10 closed a"] {
        fault(
            &handled(&[before, second]),
            "was given as attempt 2 after 0",
        );
    }
    let told = "20 given 1 1 b; 21 start 1 2 8; 22 said 1 2 8 true; 23 deleting 1 1";
    fault(&handled(&[told]), "as attempt 2, which nobody was given");
}

#[test]
fn a_crash_needs_a_handler_that_did_not_come_to_its_end_alone() {
    let dead = "30 given 1 1 b; 31 burying 1 b; 32 copied 1; 33 deleting 1 1 b";
    let isolated = "1 given 1 1 b; 1 isolating 1 1 b; 1 isolated 1 1; 1 deleting 1 1 b";
    let cut = "2 given 1 1 a; 3 start 1 1 7; 6 dying 7; 6 closed a; 7 ended 7 signal: 6";
    let of =
        |end: End, before: &str| dead_letter(end, &[says("crash", 1)], &[isolated, before, dead]);
    let verdict = of(End::Crashed, cut);
    nothing(&verdict);
    assert_eq!((verdict.crashed, verdict.cut_off), (1, 0));
    // Nobody can tell what ended the process.
    let verdict = of(End::Acked, cut);
    nothing(&verdict);
    assert_eq!((verdict.cut_off, verdict.lost), (1, 0));
    let crowd = [cut, &cut.replace(" 7", " 8").replace("a;", "b;"), dead];
    let crowd = dead_letter(End::Crashed, &[says("crash", 1)], &crowd);
    fault(&crowd, "says that its process ended");
    let other = [says("error", 1)];
    fault(
        &dead_letter(End::Crashed, &other, &[isolated, cut, dead]),
        "says \"error\"",
    );
    let of = |before: &str| of(End::GivenUp, before);
    nothing(&of(cut));
    let ended = cut.replace("6 dying 7", "5 said 1 1 7 err; 6 dying 7");
    fault(&of(&ended), "says that its process ended");
    fault(&of("2 given 1 1 a; 6 closed a"), "which nobody began");
}

#[test]
fn a_dead_letter_says_what_happened() {
    let rejected = "2 given 1 1 a; 3 start 1 1 7; 4 said 1 1 7 reject; 5 burying 1 a; 6 copied 1; 7 deleting 1 1";
    let of = |envelopes: &[Envelope]| dead_letter(End::Rejected, envelopes, &[rejected]);
    let verdict = of(&[says("rejected", 1)]);
    nothing(&verdict);
    assert_eq!(verdict.rejected, 1);
    fault(&of(&[]), "was lost");
    fault(
        &of(&[Envelope::Wrong("none".to_owned())]),
        "whose envelope is wrong",
    );
    fault(&of(&[says("error", 1)]), "says \"error\"");
    fault(
        &of(&[says("rejected", 2)]),
        "of attempt 2, which nobody began",
    );
    let two = [says("rejected", 1), says("rejected", 1)];
    fault(&of(&two), "twice, without a reason");
    let early = [says("error", 1)];
    fault(
        &dead_letter(End::GivenUp, &early, &[rejected]),
        "given up after 1 of 3",
    );
}
