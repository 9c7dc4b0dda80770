//! The judge: every rule accuses what is against it, and a good life is accused of nothing.

mod again;
mod tale;

use loafer_simulation::{
    ledger::{Answer, Asked, Event, MessageKey, Reply, Why, Wrong},
    scenario::{Kind, RoutePlan},
};

use self::tale::{on, plan, standard};

#[test]
fn a_good_life_is_accused_of_nothing() {
    standard()
        .given(0, 0, 0)
        .answered(1, 0, Answer::Ack)
        .settled(2, 0, Asked::Ack)
        .given(2, 1, 1)
        .answered(3, 1, Answer::Failed)
        .settled(4, 1, Asked::Retry(Some(1_000)))
        .again(1_004, 2, 1, 2, false)
        .answered(1_005, 2, Answer::Reject)
        .settled(1_006, 2, Asked::DeadLetter)
        .given(1_006, 3, 2)
        .at(1_100, Event::Stopping)
        .settled(1_101, 3, Asked::Release)
        .at(1_200, Event::Over)
        .is_clean();
}

#[test]
fn settlements_are_what_user_code_said() {
    let nacked = || standard().given(0, 0, 0).answered(1, 0, Answer::Nack);
    nacked()
        .settled(2, 0, Asked::Ack)
        .is_accused_of(Wrong::AckUnanswered);
    nacked()
        .settled(2, 0, Asked::DeadLetter)
        .is_accused_of(Wrong::DeadLetterUnanswered);
    nacked()
        .settled(2, 0, Asked::Release)
        .is_accused_of(Wrong::ReleaseOfTried);
    nacked()
        .settled(2, 0, Asked::Retry(Some(500)))
        .is_accused_of(Wrong::RetryTooShort);
    let acked = standard().given(0, 0, 0).answered(1, 0, Answer::Ack);
    acked
        .settled(2, 0, Asked::Retry(Some(1_000)))
        .is_accused_of(Wrong::RetryUnanswered);
    let rejected = standard().given(0, 0, 0).answered(1, 0, Answer::Reject);
    rejected
        .settled(2, 0, Asked::Retry(Some(1_000)))
        .is_accused_of(Wrong::RetryUnanswered);
}

#[test]
fn nothing_is_sent_after_a_cancellation() {
    standard()
        .given(0, 0, 0)
        .started(1, 0)
        .at(1, Event::LeaseEnded(0, Why::Revoked))
        .at(1, Event::Renewing(0, 10_000))
        .at(1, Event::RenewReplied(0, Reply::Lost))
        .at(2, Event::Dropped(0))
        .at(3, Event::Settling(0, Asked::Retry(Some(1_000))))
        .is_accused_of(Wrong::SettledAfterCancel);
}

#[test]
fn what_is_early_is_put_off_and_nothing_else() {
    let early = || standard().due(0, 0, 5_000);
    early()
        .settled(1, 0, Asked::Defer(5_000))
        .due(5_000, 1, 5_000)
        .answered(5_000, 1, Answer::Ack)
        .settled(5_001, 1, Asked::Ack)
        .is_clean();
    early().started(1, 0).is_accused_of(Wrong::StartedEarly);
    for asked in [
        Asked::Release,
        Asked::Retry(Some(5_000)),
        Asked::Defer(4_000),
    ] {
        early()
            .settled(1, 0, asked)
            .is_accused_of(Wrong::DeferredWrongly);
    }
    standard()
        .due(5_000, 0, 5_000)
        .settled(5_001, 0, Asked::Defer(5_000))
        .is_accused_of(Wrong::DeferredWrongly);
}

#[test]
fn a_delay_is_kept() {
    standard()
        .given(0, 0, 0)
        .answered(1, 0, Answer::Retry(5_000))
        .settled(2, 0, Asked::Retry(Some(5_000)))
        .again(4_000, 1, 0, 2, false)
        .is_accused_of(Wrong::DeliveredEarly);
}

#[test]
fn a_receipt_is_settled_once_and_in_time() {
    let acked = || standard().given(0, 0, 0).answered(1, 0, Answer::Ack);
    acked()
        .settled(2, 0, Asked::Ack)
        .at(3, Event::Settling(0, Asked::Ack))
        .is_accused_of(Wrong::SettledTwice);
    acked()
        .at(2, Event::Settling(0, Asked::Ack))
        .at(3, Event::Settling(0, Asked::Ack))
        .is_accused_of(Wrong::SettledAtOnce);
    acked()
        .at(10_000, Event::Settling(0, Asked::Ack))
        .is_accused_of(Wrong::SettledTooLate);
    acked()
        .at(10_000, Event::Renewing(0, 10_000))
        .is_accused_of(Wrong::RenewedTooLate);
    on(plan(Kind::Pushed))
        .given(0, 0, 0)
        .answered(1, 0, Answer::Ack)
        .at(2, Event::LeaseEnded(0, Why::Disconnected))
        .at(3, Event::Settling(0, Asked::Ack))
        .is_accused_of(Wrong::SettledDisconnected);
}

#[test]
fn what_was_handled_does_not_run_again() {
    let acked = || standard().given(0, 0, 0).answered(1, 0, Answer::Ack);
    acked()
        .at(2, Event::Settling(0, Asked::Ack))
        .at(3, Event::SettleReplied(0, Reply::Failed))
        .again(4, 1, 0, 2, true)
        .started(5, 1)
        .is_accused_of(Wrong::HandledDuringAck);
    acked()
        .at(2, Event::Settling(0, Asked::Ack))
        .at(2, Event::LeaseEnded(0, Why::Revoked))
        .at(3, Event::SettleReplied(0, Reply::Lost))
        .again(4, 1, 0, 2, false)
        .started(5, 1)
        .is_accused_of(Wrong::HandledTwice);
    // Its ack is confirmed: a duplicate of the broker may run.
    acked()
        .settled(2, 0, Asked::Ack)
        .again(3, 1, 0, 2, true)
        .started(4, 1)
        .is_clean();
    let twice = standard().given(0, 0, 0).answered(1, 0, Answer::Ack);
    twice.started(2, 0).is_accused_of(Wrong::StartedTwice);
}

#[test]
fn a_lease_that_is_over_starts_nothing_and_ends_what_runs() {
    standard()
        .given(0, 0, 0)
        .started(10_000, 0)
        .is_accused_of(Wrong::StartedTooLate);
    standard()
        .given(0, 0, 0)
        .started(1, 0)
        .at(15_000, Event::Dropped(0))
        .is_accused_of(Wrong::RanTooLong);
    standard()
        .given(0, 0, 0)
        .started(1, 0)
        .at(2, Event::Dropped(0))
        .is_accused_of(Wrong::CancelledUnasked);
}

#[test]
fn groups_go_one_at_a_time_and_in_order() {
    on(plan(Kind::Fifo))
        .given(0, 0, 0)
        .given(0, 1, 1)
        .answered(1, 0, Answer::Nack)
        .started(2, 1)
        .is_accused_of(Wrong::OutOfOrder);
    let grouped = RoutePlan {
        group_by: true,
        ..plan(Kind::Standard)
    };
    on(grouped)
        .given(0, 0, 0)
        .given(0, 1, 1)
        .started(1, 0)
        .started(2, 1)
        .is_accused_of(Wrong::GroupAtOnce);
    let mut batches = plan(Kind::Fifo);
    batches.batch = Some((2, 0));
    batches.messages[0].decodes = false;
    on(batches)
        .given(0, 0, 0)
        .given(0, 1, 1)
        .started(1, 1)
        .is_accused_of(Wrong::RanBesideUndecodable);
}

#[test]
fn limits_are_kept() {
    let three = || standard().given(0, 0, 0).given(0, 1, 1).given(0, 2, 2);
    three().is_clean();
    three()
        .started(1, 0)
        .started(1, 1)
        .started(1, 2)
        .is_accused_of(Wrong::TooManyCalls);
    three().given(0, 3, 3).is_accused_of(Wrong::OverCapacity);
}

#[test]
fn an_app_ends_in_time_and_leaves_nothing_behind() {
    let stopped = || standard().given(0, 0, 0).at(1_000, Event::Stopping);
    stopped()
        .started(1_100, 0)
        .is_accused_of(Wrong::StartedDuringDrain);
    stopped()
        .settled(1_100, 0, Asked::Release)
        .at(7_000, Event::Over)
        .is_accused_of(Wrong::DrainTooLong);
    stopped()
        .at(2_000, Event::Over)
        .is_accused_of(Wrong::LeftLeased);
    let running = standard().given(0, 0, 0).started(1, 0);
    running
        .at(1_000, Event::Stopping)
        .at(2_000, Event::Over)
        .is_accused_of(Wrong::RanAfterEnd);
}

#[test]
fn nothing_stalls() {
    standard()
        .watched(0, 60_000, 1)
        .is_accused_of(Wrong::StalledReceive);
    standard().watched(0, 60_000, 0).is_clean();
    let receives = standard().at(0, Event::Receiving(0));
    receives.watched(0, 60_000, 1).is_clean();

    let endless = || on(plan(Kind::Pushed));
    endless()
        .given(0, 0, 0)
        .watched(0, 60_000, 0)
        .is_accused_of(Wrong::StalledWorker);
    endless()
        .given(0, 0, 0)
        .answered(0, 0, Answer::Ack)
        .watched(0, 10_000, 0)
        .is_accused_of(Wrong::AckHeldUp);
    endless()
        .given(0, 0, 0)
        .answered(0, 0, Answer::Nack)
        .watched(0, 60_000, 0)
        .is_accused_of(Wrong::SettlementHeldUp);
}

#[test]
fn a_batch_does_not_wait_for_one_of_its_messages() {
    let mut batches = plan(Kind::Pushed);
    (batches.batch, batches.on_error) = (Some((2, 0)), true);
    on(batches)
        .given(0, 0, 0)
        .given(0, 1, 1)
        .at(0, Event::Started(0, 1))
        .at(0, Event::Started(1, 1))
        .at(0, Event::Answered(0, Answer::Failed))
        .at(0, Event::Answered(1, Answer::Ack))
        .at(0, Event::Left(0))
        .at(0, Event::Left(1))
        .at(0, Event::Consulted(0))
        .watched(0, 10_000, 0)
        .is_accused_of(Wrong::HeldByNeighbour);
}

#[test]
fn every_message_leaves_its_queue() {
    let mut reply = standard();
    reply.0.finish(1_000);
    reply.is_accused_of(Wrong::NeverFinished);
}

#[test]
fn a_call_is_not_polled_after_its_end() {
    let mut reply = standard().given(0, 0, 0);
    reply.0.accuse_poll(1, 0);
    reply.is_accused_of(Wrong::PolledAfterEnd);
}

#[test]
fn a_story_has_all_that_happened_to_a_message() {
    let reply = standard()
        .given(0, 0, 0)
        .given(0, 1, 1)
        .answered(1, 0, Answer::Ack)
        .settled(1_500, 0, Asked::Ack);
    let story = reply.0.story(MessageKey { route: 0, index: 0 });
    assert!(story.contains("   1.500 SettleReplied(0, Done)"), "{story}");
    assert!(!story.contains("delivery 1 "), "{story}");
}
