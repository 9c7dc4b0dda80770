//! The judge: every rule accuses what is against it, and a good life is accused of nothing.

use std::{collections::BTreeMap, sync::Arc};

use loafer_simulation::{
    ledger::{Answer, Asked, DeliveryId, Event, Given, Ledger, MessageKey, Reply, Why, Wrong},
    scenario::{
        BackoffPlan, Ending, Faults, Kind, MessagePlan, Mood, QueuePlan, RoutePlan, Scenario,
        Unhandled,
    },
};

/// A ledger of one route, and whether its leases last as long as a connection.
struct Tale(Ledger, bool);

/// Returns a route on a queue with leases of 10 s, two calls at once and four messages.
fn plan(kind: Kind) -> RoutePlan {
    let message = MessagePlan {
        at: 0,
        group: Some(1),
        taker: 0,
        decodes: true,
    };
    RoutePlan {
        number: 0,
        queue: QueuePlan {
            kind,
            lease: (kind != Kind::Pushed).then_some(10_000),
            receive_batch: 2,
            settle_batch: 1,
            receivers: 1,
            settlers: 1,
            linger: 0,
            wait: 2_000,
            own_ids: true,
            max_delay: None,
            dead_letters: true,
            latency: 0,
            stuck: 0,
            stuck_at_once: false,
            late: 0,
        },
        concurrency: 2,
        prefetch: Some(0),
        batch: None,
        group_by: false,
        layers: false,
        on_error: false,
        choice: false,
        timeout: None,
        max_attempts: Some(3),
        backoff: Some(BackoffPlan {
            initial: 1_000,
            most: 8_000,
            jitter: false,
        }),
        rejects_undecodable: false,
        unmatched: Unhandled::Retry,
        outage: 0,
        mood: Mood::Healthy,
        messages: vec![message; 8],
    }
}

fn on(plan: RoutePlan) -> Tale {
    let endless = plan.queue.lease.is_none();
    let scenario = Scenario {
        seed: 0,
        routes: vec![plan],
        faults: Faults::NONE,
        rate: 0,
        heal_at: 0,
        ending: Ending::WhenDone,
        drain: 1_000,
    };
    let mut ledger = Ledger::new(Arc::new(scenario));
    ledger.record(0, Event::Began(1));
    for index in 0..8 {
        ledger.record(0, Event::Published(MessageKey { route: 0, index }));
    }
    Tale(ledger, endless)
}

fn standard() -> Tale {
    on(plan(Kind::Standard))
}

impl Tale {
    fn at(mut self, now: u64, event: Event) -> Self {
        self.0.record(now, event);
        self
    }

    /// A delivery of a message is made and handed over.
    fn given(self, now: u64, id: DeliveryId, index: usize) -> Self {
        self.given(now, id, index, 1, false)
    }

    fn made(self, now: u64, id: DeliveryId, index: usize, nth: u32, duplicate: bool) -> Self {
        let lease = (!self.1).then_some(10_000);
        let made = Given {
            message: MessageKey { route: 0, index },
            nth,
            attempt: nth,
            until: lease.map(|lease| now + lease),
            duplicate,
        };
        self.at(now, Event::Delivered(id, made))
            .at(now, Event::Handed(id))
    }

    fn started(self, now: u64, id: DeliveryId) -> Self {
        self.at(now, Event::Started(id, id + 1))
    }

    /// A call begins and answers.
    fn answered(self, now: u64, id: DeliveryId, answer: Answer) -> Self {
        self.started(now, id)
            .at(now, Event::Answered(id, answer))
            .at(now, Event::Left(id))
    }

    fn settled(self, now: u64, id: DeliveryId, asked: Asked) -> Self {
        self.at(now, Event::Settling(id, asked))
            .at(now, Event::Settled(id, asked))
            .at(now, Event::SettleReplied(id, Reply::Done))
    }

    /// Time passes until this moment, while so many messages wait at the broker.
    fn watched(mut self, from: u64, to: u64, waiting: usize) -> Self {
        let waiting = BTreeMap::from([(0, waiting)]);
        for now in (from..=to).step_by(1_000) {
            self.0.watch(now, &waiting);
        }
        self
    }

    #[track_caller]
    fn is_accused_of(&self, kind: Wrong) {
        let kinds: Vec<Wrong> = self.0.violations().iter().map(|it| it.kind).collect();
        assert_eq!(kinds, [kind]);
    }

    #[track_caller]
    fn is_clean(&self) {
        assert!(self.0.violations().is_empty(), "{:?}", self.0.violations());
    }
}

#[test]
fn a_good_life_is_accused_of_nothing() {
    standard()
        .given(0, 0, 0)
        .answered(1, 0, Answer::Ack)
        .settled(2, 0, Asked::Ack)
        .given(2, 1, 1)
        .answered(3, 1, Answer::Failed)
        .settled(4, 1, Asked::Retry(Some(1_000)))
        .given(1_004, 2, 1, 2, false)
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
fn a_delay_is_kept() {
    standard()
        .given(0, 0, 0)
        .answered(1, 0, Answer::Retry(5_000))
        .settled(2, 0, Asked::Retry(Some(5_000)))
        .given(4_000, 1, 0, 2, false)
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
        .given(4, 1, 0, 2, true)
        .started(5, 1)
        .is_accused_of(Wrong::HandledDuringAck);
    acked()
        .at(2, Event::Settling(0, Asked::Ack))
        .at(2, Event::LeaseEnded(0, Why::Revoked))
        .at(3, Event::SettleReplied(0, Reply::Lost))
        .given(4, 1, 0, 2, false)
        .started(5, 1)
        .is_accused_of(Wrong::HandledTwice);
    // Its ack is confirmed: a duplicate of the broker may run.
    acked()
        .settled(2, 0, Asked::Ack)
        .given(3, 1, 0, 2, true)
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
