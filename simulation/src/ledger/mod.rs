//! The ledger of a run: it records what happens, and judges it by the law.
//!
//! | module | what it is |
//! |---|---|
//! | `event` | what happens |
//! | `delivery` | what is known of one delivery |
//! | `violation` | what a run is accused of |
//! | `rules` | the law |
//! | `story` | what happened to one message, in lines |

mod delivery;
mod event;
mod rules;
mod story;
pub(crate) use self::story::clock;
mod violation;

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

pub use self::{
    delivery::DeliveryRecord,
    event::{Answer, Asked, DeliveryId, Event, Given, MessageKey, Reply, Why},
    violation::{Violation, Wrong},
};

use crate::{
    Millis,
    scenario::{RoutePlan, Scenario},
};

/// What the ledger knows of one route.
#[derive(Debug, Default)]
pub(crate) struct RouteRecord {
    /// Deliveries that were handed over and may not be over.
    pub(crate) open: Vec<DeliveryId>,
    /// The calls that run, and with how many messages.
    pub(crate) calls: BTreeMap<u32, usize>,
    /// How many messages wait for `on_error`.
    pub(crate) consulting: usize,
    /// Receives in flight.
    pub(crate) receiving: usize,
    /// When a receive failed last.
    pub(crate) failed: Option<Millis>,
    /// Since when it is paused.
    pub(crate) paused: Option<Millis>,
    /// Since when messages wait at the broker although there is room.
    pub(crate) starved: Option<Millis>,
    /// Since when messages wait at the broker and none arrives or starts, whether there is room or not.
    pub(crate) stands: Option<Millis>,
    /// When that was looked at last.
    pub(crate) looked: Option<Millis>,
}

/// What the ledger knows of one message.
#[derive(Clone, Debug, Default)]
pub(crate) struct MessageRecord {
    pub(crate) published: bool,
    /// Its deliveries.
    pub(crate) deliveries: Vec<DeliveryId>,
    /// Whether it left its queue: acked or dead-lettered.
    pub(crate) left: bool,
    /// When the delay is over that the last retry asked for.
    pub(crate) due: Option<Millis>,
}

/// How far the running app has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Idle,
    Running,
    Stopping(Millis),
    Cancelling(Millis),
    Over,
}

/// Records and judges one run.
#[derive(Debug)]
pub struct Ledger {
    pub(crate) scenario: Arc<Scenario>,
    pub(crate) events: Vec<(Millis, Event)>,
    pub(crate) deliveries: Vec<DeliveryRecord>,
    pub(crate) routes: BTreeMap<usize, RouteRecord>,
    pub(crate) messages: BTreeMap<MessageKey, MessageRecord>,
    pub(crate) violations: Vec<Violation>,
    /// The number of the app that runs or ran last.
    pub(crate) app: u32,
    pub(crate) stage: Stage,
    /// Whether the app receives once: it may stop receiving at any moment.
    pub(crate) once: bool,
    calls: u32,
}

impl Ledger {
    /// Returns an empty ledger.
    #[must_use]
    pub fn new(scenario: Arc<Scenario>) -> Self {
        let routes = scenario
            .routes
            .iter()
            .map(|plan| (plan.number, RouteRecord::default()));
        let keys = scenario.routes.iter().flat_map(|plan| {
            (0..plan.messages.len()).map(|index| MessageKey {
                route: plan.number,
                index,
            })
        });
        Self {
            routes: routes.collect(),
            messages: keys.map(|key| (key, MessageRecord::default())).collect(),
            events: Vec::with_capacity(8_192),
            deliveries: Vec::with_capacity(1_024),
            violations: Vec::new(),
            app: 0,
            stage: Stage::Idle,
            once: false,
            calls: 0,
            scenario,
        }
    }

    /// Records that something happens at this moment, and judges it.
    pub fn record(&mut self, now: Millis, event: Event) {
        self.events.push((now, event));
        rules::judge(self, now, event);
    }

    /// Whether an app runs, or is on its way to its end.
    pub(crate) fn is_alive(&self) -> bool {
        !matches!(self.stage, Stage::Idle | Stage::Over)
    }

    /// Returns a number for a new call.
    pub fn next_call(&mut self) -> u32 {
        self.calls += 1;
        self.calls
    }

    /// Looks for what does not happen although it should. Called once a second. `waiting` says how many messages of a route could be received.
    pub fn watch(&mut self, now: Millis, waiting: &BTreeMap<usize, usize>) {
        rules::watch(self, now, waiting);
    }

    /// Accuses what is not finished at the end of the run.
    pub fn finish(&mut self, now: Millis) {
        rules::finish(self, now);
    }

    /// Returns the violations, in the order in which they were seen.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Returns how many messages were neither acked nor dead-lettered.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.messages
            .values()
            .filter(|message| !message.left)
            .count()
    }

    /// Returns a number that differs if anything happened otherwise.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.events.hash(&mut hasher);
        hasher.finish()
    }

    /// Returns all events, in order.
    #[must_use]
    pub fn events(&self) -> &[(Millis, Event)] {
        &self.events
    }

    /// Returns how many calls there were.
    #[must_use]
    pub fn calls(&self) -> u32 {
        self.calls
    }

    /// Says whether the app receives once only.
    pub fn set_once(&mut self, once: bool) {
        self.once = once;
    }

    /// Accuses the app as a whole.
    pub fn accuse_app(&mut self, at: Millis, text: String) {
        self.accuse(Wrong::AppFailed, at, None, text);
    }

    /// Accuses the app of a fence that did not come in time.
    pub fn accuse_fence(&mut self, at: Millis, route: usize) {
        let text = format!(
            "leases of r{route} were taken back, and nobody has said that nothing is settled for them"
        );
        self.accuse(Wrong::FenceMissed, at, None, text);
    }

    /// Accuses the app of polling a call that had answered.
    pub fn accuse_poll(&mut self, at: Millis, id: DeliveryId) {
        let text = "its call had answered, and its future was polled again";
        self.accuse(Wrong::PolledAfterEnd, at, Some(id), text);
    }

    /// Accuses the run, once for each kind.
    pub(crate) fn accuse(
        &mut self,
        kind: Wrong,
        at: Millis,
        delivery: Option<DeliveryId>,
        text: impl Into<String>,
    ) {
        if self.violations.iter().any(|known| known.kind == kind) {
            return;
        }
        let message = delivery.map(|id| self.delivery(id).given.message);
        self.violations.push(Violation {
            kind,
            at,
            message,
            delivery,
            text: text.into(),
        });
    }

    pub(crate) fn delivery(&self, id: DeliveryId) -> &DeliveryRecord {
        &self.deliveries[id as usize]
    }

    pub(crate) fn delivery_mut(&mut self, id: DeliveryId) -> &mut DeliveryRecord {
        &mut self.deliveries[id as usize]
    }

    /// Returns the plan of a delivery's route.
    pub(crate) fn plan_of(&self, id: DeliveryId) -> &RoutePlan {
        self.plan(self.delivery(id).given.message.route)
    }

    pub(crate) fn plan(&self, route: usize) -> &RoutePlan {
        let mut routes = self.scenario.routes.iter();
        let plan = routes.find(|plan| plan.number == route);
        plan.unwrap_or(&self.scenario.routes[0])
    }
}
