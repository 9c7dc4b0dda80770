//! What is tried in place, and what may have ended its process.

use loafer_simulation::{
    ledger::{Answer, Asked, Event, Reply, Why, Wrong},
    scenario::{Kind, RoutePlan},
};

use super::tale::{Tale, on, plan, standard};

/// A group of two whose head fails, on a route that may hold so many messages beyond two.
fn failed(prefetch: usize) -> Tale {
    let route = RoutePlan {
        prefetch: Some(prefetch),
        ..plan(Kind::Fifo)
    };
    on(route)
        .given(0, 0, 0)
        .given(0, 1, 1)
        .answered(0, 0, Answer::Nack)
}

#[test]
fn a_failed_head_is_tried_again_in_place_and_the_others_follow() {
    failed(10)
        .at(1_000, Event::Tried(0, 2))
        .answered(1_000, 0, Answer::Ack)
        .settled(1_001, 0, Asked::Ack)
        .answered(1_001, 1, Answer::Ack)
        .settled(1_002, 1, Asked::Ack)
        .is_clean();
    failed(10)
        .at(999, Event::Tried(0, 2))
        .is_accused_of(Wrong::TriedTooSoon);
    failed(10)
        .at(1_000, Event::Tried(0, 3))
        .is_accused_of(Wrong::WrongAttempt);
    on(plan(Kind::Fifo))
        .given(0, 0, 0)
        .answered(0, 0, Answer::Ack)
        .at(1_000, Event::Tried(0, 2))
        .is_accused_of(Wrong::TriedUnasked);
    standard()
        .given(0, 0, 0)
        .answered(0, 0, Answer::Nack)
        .at(1_000, Event::Tried(0, 2))
        .is_accused_of(Wrong::WrongAttempt);
}

#[test]
fn nothing_runs_beyond_its_last_attempt() {
    let last = || {
        failed(10)
            .at(1_000, Event::Tried(0, 2))
            .answered(1_000, 0, Answer::Nack)
            .at(3_000, Event::Tried(0, 3))
            .answered(3_000, 0, Answer::Nack)
    };
    last()
        .at(7_000, Event::Tried(0, 4))
        .is_accused_of(Wrong::TriedTooOften);
    // Its dead letter can't be made.
    last()
        .at(3_000, Event::Settling(0, Asked::DeadLetter))
        .at(3_001, Event::SettleReplied(0, Reply::NoTarget))
        .at(7_001, Event::Tried(0, 4))
        .is_clean();
}

#[test]
fn a_group_is_given_back_only_if_there_is_no_room_for_it() {
    let releases = |tale: Tale| tale.settled(1, 1, Asked::Release);
    releases(failed(10)).is_accused_of(Wrong::GroupGivenBack);
    releases(failed(0)).is_clean();
    failed(10)
        .settled(1, 0, Asked::Retry(Some(999)))
        .is_accused_of(Wrong::GroupGivenBack);
    failed(0)
        .settled(400, 0, Asked::Retry(Some(600)))
        .is_clean();
    failed(0)
        .settled(400, 0, Asked::Retry(Some(400)))
        .is_accused_of(Wrong::RetryTooShort);
    releases(failed(10).at(0, Event::LeaseEnded(0, Why::Revoked))).is_clean();
    releases(failed(10).at(0, Event::Leaves(1, 5_000, 5_000))).is_clean();
    releases(failed(10).at(0, Event::Stopping)).is_clean();
}

#[test]
fn what_can_t_be_sent_is_tried_in_place() {
    on(plan(Kind::Pushed))
        .given(0, 0, 0)
        .answered(0, 0, Answer::Nack)
        .at(0, Event::Settling(0, Asked::Retry(Some(1_000))))
        .at(1, Event::SettleReplied(0, Reply::Refused))
        .at(1_001, Event::Tried(0, 2))
        .answered(1_001, 0, Answer::Ack)
        .settled(1_002, 0, Asked::Ack)
        .is_clean();
}

#[test]
fn a_suspect_runs_alone() {
    let pushed = || on(plan(Kind::Pushed));
    pushed()
        .suspect(0, 0, 4, false)
        .given(0, 1, 1)
        .started(1, 1)
        .started(2, 0)
        .is_accused_of(Wrong::SuspectBeside);
    pushed()
        .suspect(0, 0, 4, false)
        .given(0, 1, 1)
        .started(1, 0)
        .started(2, 1)
        .is_accused_of(Wrong::SuspectBeside);
    pushed()
        .suspect(0, 0, 3, false)
        .given(0, 1, 1)
        .started(1, 0)
        .started(2, 1)
        .is_clean();
}

#[test]
fn the_more_often_suspects_were_delivered_the_fewer_run_at_once() {
    let of = |concurrency, deliveries, isolated| {
        let plan = RoutePlan {
            concurrency,
            ..plan(Kind::Pushed)
        };
        on(plan)
            .suspect(0, 0, 4, false)
            .suspect_of(1, 0, 1, deliveries, isolated)
            .started(1, 0)
            .started(2, 1)
    };
    of(4, 4, false).is_clean();
    of(4, 6, false).is_clean();
    for (concurrency, deliveries, isolated) in [(4, 7, false), (3, 4, false), (4, 4, true)] {
        of(concurrency, deliveries, isolated).is_accused_of(Wrong::SuspectBeside);
    }
    of(8, 7, false).is_clean();
}

#[test]
fn a_message_is_isolated_once_it_was_delivered_too_often() {
    let most = RoutePlan {
        max_deliveries: Some(5),
        ..plan(Kind::Pushed)
    };
    on(most.clone())
        .suspect(0, 0, 5, false)
        .settled(1, 0, Asked::Isolate)
        .is_accused_of(Wrong::IsolatedUnasked);
    on(most)
        .suspect(0, 0, 6, false)
        .settled(1, 0, Asked::Isolate)
        .is_clean();
}

#[test]
fn a_crash_is_proven_by_a_delivery_alone_that_came_to_nothing() {
    let pushed = || on(plan(Kind::Pushed));
    pushed()
        .suspect(0, 0, 22, false)
        .at(1, Event::LeaseEnded(0, Why::Killed))
        .suspect(2, 1, 23, true)
        .settled(3, 1, Asked::GiveUp)
        .is_accused_of(Wrong::CrashUnproven);
    pushed()
        .suspect(0, 0, 22, true)
        .settled(1, 0, Asked::Release)
        .suspect(2, 1, 23, true)
        .settled(3, 1, Asked::GiveUp)
        .is_accused_of(Wrong::CrashUnproven);
    pushed()
        .suspect(0, 0, 22, true)
        .started(1, 0)
        .at(1, Event::Killed)
        .at(1, Event::LeaseEnded(0, Why::Killed))
        .at(2, Event::Began(2))
        .suspect(2, 1, 23, true)
        .settled(3, 1, Asked::GiveUp)
        .is_clean();
}

#[test]
fn dead_letters_that_can_t_be_made_hold_up_nobody() {
    let stuck = |asked, answer| {
        on(plan(Kind::Pushed))
            .given(0, 0, 0)
            .given(0, 1, 1)
            .answered(0, 0, answer)
            .answered(0, 1, answer)
            .at(1, Event::Settling(0, asked))
            .at(1, Event::Settling(1, asked))
            .at(2, Event::SettleReplied(0, Reply::Failed))
            .at(2, Event::SettleReplied(1, Reply::Failed))
            .watched(0, 200_000, 1)
    };
    stuck(Asked::DeadLetter, Answer::Reject).is_accused_of(Wrong::HeldUp);
    // The broker does not take retries either: there is no other way.
    stuck(Asked::Retry(Some(1_000)), Answer::Nack).is_clean();
}
