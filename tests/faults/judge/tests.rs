//! The judge is judged: each fault is seen, and a reason counts only where it is one.

use fastrand::Rng;

use super::{DeadMessage, Envelope, Hold, Rules, Verdict, judge};
use crate::{
    job::{End, Job},
    publisher::Published,
};

const LEASES: Rules = Rules {
    hold: Hold::Lease,
    max_attempts: None,
};

/// Message 1 of a run, which is to end so, by this ledger.
pub(super) fn judged(
    rules: Rules,
    end: End,
    dead_letters: &[DeadMessage],
    ledger: &str,
) -> Verdict {
    let mut jobs = std::iter::repeat_with({
        let mut rng = Rng::with_seed(0);
        move || Job::random(&mut rng, true)
    });
    let job = match end {
        End::Crashed => Some(Job::crash()),
        end => jobs.find(|job| job.end == end),
    };
    let mut published = Published::default();
    published.confirmed.insert(1, job.unwrap());
    judge(rules, &ledger.replace("; ", "\n"), &published, dead_letters)
}

/// Message 1 of a run on SQS, handled or rejected as planned, by this ledger.
fn of(rejected: bool, dead_letters: &[u64], ledger: &str) -> Verdict {
    let end = if rejected { End::Rejected } else { End::Acked };
    let dead_letter = |id: &u64| DeadMessage {
        id: *id,
        envelope: Envelope::Unread,
    };
    let dead_letters: Vec<_> = dead_letters.iter().map(dead_letter).collect();
    judged(LEASES, end, &dead_letters, ledger)
}

/// Message 1, to be handled; consumer 7 is at proxy a, consumer 8 at b.
fn handled(ledger: &str) -> Verdict {
    of(false, &[], &format!("0 up 7 a; 0 up 8 b; {ledger}"))
}

#[track_caller]
pub(super) fn fault(verdict: &Verdict, what: &str) {
    let found = verdict.faults.iter().any(|fault| fault.contains(what));
    assert!(found, "no {what:?} in {:?}", verdict.faults);
}

#[track_caller]
fn why(reasons: &super::Reasons, expected: &str) {
    let found: Vec<_> = reasons.iter().collect();
    assert_eq!(found, [(&expected.to_owned(), &1)]);
}

const ONCE: &str = "1 given 1 1; 2 start 1 1 7; 3 said 1 1 7 true; 4 deleting 1 1";

#[test]
fn a_message_handled_once_is_no_fault() {
    let verdict = handled(&format!("{ONCE}; 5 deleted 1 1"));
    assert!(verdict.faults.is_empty(), "{:?}", verdict.faults);
    let counts = (
        verdict.deliveries,
        verdict.starts,
        verdict.handled,
        verdict.lost,
    );
    assert_eq!(counts, (1, 1, 1, 0));
}

#[test]
fn a_message_nobody_said_true_of_is_lost() {
    for ledger in [
        "1 given 1 1",
        "1 given 1 1; 2 start 1 1 7; 3 said 1 1 7 false",
    ] {
        let verdict = handled(ledger);
        assert_eq!(verdict.lost, 1);
        fault(&verdict, "message 1 was lost");
    }
}

#[test]
fn an_ack_before_any_true_is_a_fault() {
    let early = "1 given 1 1; 2 start 1 1 7; 3 deleting 1 1; 4 said 1 1 7 true";
    fault(&handled(early), "acked before anybody said true");
}

#[test]
fn dead_letters_are_those_of_the_plan() {
    fault(&of(false, &[1], ONCE), "dead letter, against the plan");
    fault(&of(true, &[], "1 given 1 1"), "was lost");
    fault(&of(true, &[1], ONCE), "handled, against the plan");
    let rejected = "1 given 1 1; 2 start 1 1 7; 3 said 1 1 7 reject; 4 copied 1; 5 deleting 1 1";
    let verdict = of(true, &[1], rejected);
    assert_eq!((verdict.rejected, verdict.faults), (1, Vec::new()));
}

#[test]
fn a_delete_before_the_dead_letter_is_a_fault() {
    let early = "1 given 1 1; 2 start 1 1 7; 3 said 1 1 7 reject; 4 deleting 1 1; 5 copied 1";
    fault(&of(true, &[1], early), "before its copy was there");
}

#[test]
fn again_after_true_needs_a_reason() {
    let ledger = |between: &str, then: &str| {
        format!("{ONCE}; {between}; 3000 given 1 2; 3001 start 1 2 8; 3002 said 1 2 8 true; {then}")
    };
    let reason = |between: &str, expected: &str| {
        let verdict = handled(&ledger(between, "3003 deleting 1 2"));
        assert!(verdict.faults.is_empty(), "{between}: {:?}", verdict.faults);
        why(&verdict.again, expected);
    };
    reason("5 killed 7", "consumer killed before its ack");
    reason("5 broken 1 1", "ack without an answer");
    let twice = "5 refused 1 1; 6 deleting 1 1; 7 refused 1 1";
    reason(twice, "ack refused to the end of its lease");
    let near_its_end = "4 trouble a refuse; 1700 refused 1 1; 1701 over a";
    reason(near_its_end, "lease lost: connection in trouble");
    reason("5 stopped 7; 9 continued 7", "lease lost: consumer stopped");
    reason(
        "5 trouble a stall; 9 over a",
        "lease lost: connection in trouble",
    );
    reason(
        "5 trouble server down; 9 over server",
        "lease lost: server down",
    );
    reason("2000 frozen 7 300", "lease lost: machine too busy");

    let found_late =
        format!("0 given 1 0; {ONCE}; 5 deleted 1 1; {{}}; 2001 start 1 0 8; 2002 said 1 0 8 true");
    let found_late = |between: &str| handled(&found_late.replace("{}", between));
    why(
        &found_late("6 stopped 8; 2000 continued 8").again,
        "lease lost: consumer stopped",
    );
    fault(
        &found_late("6 stopped 7; 2000 continued 7"),
        "again without a reason",
    );

    let no_reasons = [
        "4 trouble a refuse; 5 refused 1 1; 3000 over a",
        "5 refused 1 1; 1000 trouble a cut; 1100 over a",
        "5 deleted 1 1",
        "5 deleted 1 1; 6 killed 7",
        "5 killed 8",
        "2700 killed 7",
        "4 frozen 7 200",
        "5 stopped 8; 9 continued 8",
        "5 trouble b stall; 9 over b",
        "0 trouble a stall; 0 over a",
    ];
    for between in no_reasons {
        let verdict = handled(&ledger(between, "3003 deleting 1 2; 4000 killed 7"));
        fault(&verdict, "handled again without a reason");
    }
}

#[test]
fn whoever_handled_a_message_knows_it_again() {
    let again =
        "5 broken 1 1; 3000 given 1 2; 3001 start 1 2 7; 3002 said 1 2 7 true; 3003 deleting 1 2";
    fault(
        &handled(&format!("{ONCE}; {again}")),
        "again by whoever had handled it",
    );
    let other = again.replace("1 2 7", "1 2 8");
    let verdict = handled(&format!("{ONCE}; {other}"));
    assert!(verdict.faults.is_empty(), "{:?}", verdict.faults);
    let acked = "5 broken 1 1; 3000 given 1 2; 3003 deleting 1 2";
    let verdict = handled(&format!("{ONCE}; {acked}"));
    assert!(verdict.faults.is_empty(), "{:?}", verdict.faults);
    // An ack that the server confirmed too late ends what its consumer remembers.
    let late = again.replace("5 broken", "1 trouble a stall; 4 over a; 5 deleted");
    let verdict = handled(&format!("{ONCE}; {late}"));
    assert!(verdict.faults.is_empty(), "{:?}", verdict.faults);
}

#[test]
fn two_at_once_need_a_reason() {
    let second = "2000 given 1 2; 2001 start 1 2 8; 2002 said 1 2 8 true";
    let first = "1 given 1 1; 2 start 1 1 7";
    fault(
        &handled(&format!("{first}; {second}")),
        "handled by two at once",
    );

    for over in ["9 killed 7", "9 left 1 1 7", "9 said 1 1 7 false"] {
        let verdict = handled(&format!("{first}; {over}; {second}"));
        assert!(
            verdict.faults.is_empty() && verdict.at_once.is_empty(),
            "{over}"
        );
    }
    let verdict = handled(&format!("{first}; 3 stopped 7; {second}; 4000 continued 7"));
    assert!(verdict.faults.is_empty(), "{:?}", verdict.faults);
    why(&verdict.at_once, "lease lost: consumer stopped");
    let found_late = "1 given 1 1; 2 trouble a stall; 2000 given 1 2; 2001 start 1 2 8; 2001 over a; 2001 start 1 1 7; 2002 said 1 2 8 true";
    let verdict = handled(found_late);
    assert!(verdict.faults.is_empty(), "{:?}", verdict.faults);
    why(&verdict.at_once, "lease lost: connection in trouble");
}

#[test]
fn an_ack_for_what_another_was_given_needs_a_reason() {
    let late = "1 given 1 1; 2 start 1 1 7; 3 said 1 1 7 true; 2000 given 1 2; 2001 deleting 1 1";
    fault(&handled(late), "acked without its lease");
    let verdict = handled(&format!("0 trouble a slow; {late}; 2002 over a"));
    assert!(verdict.faults.is_empty(), "{:?}", verdict.faults);
    why(&verdict.late, "lease lost: connection in trouble");

    let without_handler = "0 given 1 0; 0 start 1 0 7; 0 said 1 0 7 true; 0 trouble a stall; 1 given 1 1; 9 over a; 2000 given 1 2; 2001 deleting 1 1";
    why(
        &handled(without_handler).late,
        "lease lost: connection in trouble",
    );

    let stop = |before: &str, after: &str| {
        format!(
            "1 given 1 1; 2 start 1 1 7; {before}; 1900 continued 7; 1950 given 1 2; {after}; 2000 deleting 1 1"
        )
    };
    let sending = stop("3 said 1 1 7 true; 4 stopped 7", "1960 frozen 7 1896");
    why(&handled(&sending).late, "lease lost: consumer stopped");
    let unaware = stop("3 stopped 7", "1960 said 1 1 7 true; 1960 frozen 7 1897");
    fault(&handled(&unaware), "acked without its lease");
}

#[test]
fn a_consumer_ends_by_itself_only_before_it_began() {
    fault(
        &handled(&format!("{ONCE}; 5 ended 7 exit status: 1")),
        "consumer 7 ended by itself",
    );
    assert!(
        handled(&format!("{ONCE}; 5 ended 8 exit status: 1"))
            .faults
            .is_empty()
    );
}
