//! A ledger that is fed by hand.

use std::{collections::BTreeMap, sync::Arc};

use loafer_simulation::{
    ledger::{Answer, Asked, DeliveryId, Event, Given, Ledger, MessageKey, Reply, Wrong},
    scenario::{
        BackoffPlan, Ending, Faults, Kind, MessagePlan, Mood, QueuePlan, RoutePlan, Scenario,
        Unhandled,
    },
};

/// A ledger of one route, and whether its leases last as long as a connection.
pub(crate) struct Tale(pub(crate) Ledger, bool);

/// Returns a route on a queue with leases of 10 s, two calls at once and four messages.
pub(crate) fn plan(kind: Kind) -> RoutePlan {
    let message = MessagePlan {
        at: 0,
        group: Some(1),
        taker: 0,
        decodes: true,
        poison: false,
        delay: 0,
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
            longest_stay: None,
            dead_letters: true,
            max_receives: None,
            latency: 0,
            stuck: 0,
            dead_letters_only: false,
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
        max_deliveries: None,
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

pub(crate) fn on(plan: RoutePlan) -> Tale {
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

pub(crate) fn standard() -> Tale {
    on(plan(Kind::Standard))
}

impl Tale {
    pub(crate) fn at(mut self, now: u64, event: Event) -> Self {
        self.0.record(now, event);
        self
    }

    /// A delivery of a message is made and handed over.
    pub(crate) fn given(self, now: u64, id: DeliveryId, index: usize) -> Self {
        self.again(now, id, index, 1, false)
    }

    pub(crate) fn again(
        self,
        now: u64,
        id: DeliveryId,
        index: usize,
        nth: u32,
        duplicate: bool,
    ) -> Self {
        let lease = (!self.1).then_some(10_000);
        let made = Given {
            message: MessageKey { route: 0, index },
            nth,
            attempt: nth,
            deliveries: nth,
            isolated: false,
            until: lease.map(|lease| now + lease),
            duplicate,
            copy: 0,
            due: None,
        };
        self.at(now, Event::Delivered(id, made))
            .at(now, Event::Handed(id))
    }

    pub(crate) fn started(self, now: u64, id: DeliveryId) -> Self {
        self.at(now, Event::Started(id, id + 1))
    }

    /// A delivery of a message is made and handed over that is due at this moment.
    pub(crate) fn due(self, now: u64, id: DeliveryId, due: u64) -> Self {
        let made = Given {
            message: MessageKey { route: 0, index: 0 },
            nth: 1,
            attempt: 1,
            deliveries: 1,
            isolated: false,
            until: Some(now + 10_000),
            duplicate: false,
            copy: 0,
            due: Some(due),
        };
        self.at(now, Event::Delivered(id, made))
            .at(now, Event::Handed(id))
    }

    /// A delivery of the first message is made and handed over: its first attempt, after so many deliveries, and alone or not.
    pub(crate) fn suspect(self, now: u64, id: DeliveryId, deliveries: u32, isolated: bool) -> Self {
        self.suspect_of(0, now, id, deliveries, isolated)
    }

    /// The same of the message with this index.
    pub(crate) fn suspect_of(
        self,
        index: usize,
        now: u64,
        id: DeliveryId,
        deliveries: u32,
        isolated: bool,
    ) -> Self {
        let made = Given {
            message: MessageKey { route: 0, index },
            nth: deliveries,
            attempt: 1,
            deliveries,
            isolated,
            until: None,
            duplicate: false,
            copy: 0,
            due: None,
        };
        self.at(now, Event::Delivered(id, made))
            .at(now, Event::Handed(id))
    }

    /// A call begins and answers.
    pub(crate) fn answered(self, now: u64, id: DeliveryId, answer: Answer) -> Self {
        self.started(now, id)
            .at(now, Event::Answered(id, answer))
            .at(now, Event::Left(id))
    }

    pub(crate) fn settled(self, now: u64, id: DeliveryId, asked: Asked) -> Self {
        self.at(now, Event::Settling(id, asked))
            .at(now, Event::Settled(id, asked))
            .at(now, Event::SettleReplied(id, Reply::Done))
    }

    /// Time passes until this moment, while so many messages wait at the broker.
    pub(crate) fn watched(mut self, from: u64, to: u64, waiting: usize) -> Self {
        let waiting = BTreeMap::from([(0, waiting)]);
        for now in (from..=to).step_by(1_000) {
            self.0.watch(now, &waiting);
        }
        self
    }

    #[track_caller]
    pub(crate) fn is_accused_of(&self, kind: Wrong) {
        let kinds: Vec<Wrong> = self.0.violations().iter().map(|it| it.kind).collect();
        assert_eq!(kinds, [kind]);
    }

    #[track_caller]
    pub(crate) fn is_clean(&self) {
        assert!(self.0.violations().is_empty(), "{:?}", self.0.violations());
    }
}
