//! The world that an app runs in: the queues of a faulty broker, the clock, and the ledger that sees everything.
//!
//! | module | what it is |
//! |---|---|
//! | `queue` | the messages of one queue, and what is on lease |
//! | `weather` | which call goes wrong, and how |
//! | `broker`, `provider` | what the engine sees of it |
//! | `settling` | settlement calls |
//! | `leaving` | leases that are taken back on notice |
//! | `death` | killed processes |

mod broker;
mod death;
mod leaving;
mod provider;
mod queue;
mod settling;
mod weather;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use loafer_core::broker::{DueTime, Notice};
use tokio::{sync::Notify, time::Instant};

use self::queue::Queue;
use crate::{
    Millis,
    ledger::{DeliveryId, Event, Ledger, MessageKey},
    scenario::{Fault, RoutePlan, Scenario},
};

pub use self::broker::Simulated;

/// Everything around the app. It outlives apps, as a broker does.
#[derive(Debug)]
pub struct World {
    /// What was drawn from the seed.
    pub scenario: Arc<Scenario>,
    began: Instant,
    /// The time of day at the beginning, as due times count it.
    time_of_day: Millis,
    state: Mutex<State>,
    signals: BTreeMap<usize, Signals>,
    /// The app's process was killed.
    died: Notify,
}

/// What wakes the calls of one route.
#[derive(Debug, Default)]
struct Signals {
    /// A message may be receivable.
    arrived: Notify,
    /// What the broker says between calls, and that it says something.
    notices: Mutex<VecDeque<Notice>>,
    said: Notify,
}

#[derive(Debug)]
struct State {
    ledger: Ledger,
    queues: BTreeMap<usize, Queue>,
    /// The number of the last app that was killed.
    killed: u32,
    /// How often each kind of fault occurred.
    faults: [u64; Fault::ALL.len()],
}

impl World {
    /// Returns the world of a scenario, at its beginning.
    #[must_use]
    pub fn new(scenario: Arc<Scenario>) -> Arc<Self> {
        let queues = scenario
            .routes
            .iter()
            .map(|plan| (plan.number, Queue::new(plan)));
        let state = State {
            ledger: Ledger::new(scenario.clone()),
            queues: queues.collect(),
            killed: 0,
            faults: [0; Fault::ALL.len()],
        };
        let numbers = scenario.routes.iter().map(|plan| plan.number);
        let began = Instant::now();
        let today = DueTime::after(Duration::ZERO, began.into_std());
        Arc::new(Self {
            began,
            time_of_day: today.to_header().parse().unwrap_or_default(),
            state: Mutex::new(state),
            signals: numbers.map(|number| (number, Signals::default())).collect(),
            died: Notify::new(),
            scenario,
        })
    }

    /// Returns the time since the beginning.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.began.elapsed().as_millis() as Millis
    }

    /// Returns the moment this long after the beginning.
    #[must_use]
    pub fn moment(&self, at: Millis) -> Instant {
        self.began + Duration::from_millis(at)
    }

    /// Returns the header of a message that is due this long after the beginning.
    fn due_header(&self, at: Millis) -> String {
        // The time of day is rounded up.
        (self.time_of_day + at).saturating_sub(1).to_string()
    }

    /// Returns the moment of a due time.
    fn due(&self, until: DueTime) -> Millis {
        let time: Millis = until.to_header().parse().unwrap_or_default();
        (time + 1).saturating_sub(self.time_of_day)
    }

    /// Records that something happens now. What a killed process does is not seen.
    pub fn record(&self, event: Event) {
        let now = self.now();
        let mut state = self.lock();
        let is_seen = |id| state.ledger.delivery(id).app > state.killed;
        if event.delivery().is_none_or(is_seen) {
            state.ledger.record(now, event);
        }
    }

    /// Records which attempt a delivery is tried as, if it is another one than before.
    pub fn tried(&self, id: DeliveryId, attempt: u32) {
        if self.ledger(|ledger| ledger.delivery(id).attempt) != attempt {
            self.record(Event::Tried(id, attempt));
        }
    }

    /// Lets somebody look at the ledger, or write into it.
    pub fn ledger<T>(&self, look: impl FnOnce(&mut Ledger) -> T) -> T {
        look(&mut self.lock().ledger)
    }

    /// Returns how often each kind of fault occurred, in the order of [`Fault::ALL`].
    #[must_use]
    pub fn faults(&self) -> [u64; Fault::ALL.len()] {
        self.lock().faults
    }

    /// Counts a fault.
    pub fn struck(&self, fault: Fault) {
        self.lock().faults[fault as usize] += 1;
    }

    /// Publishes a message.
    pub fn publish(&self, key: MessageKey) {
        let now = self.now();
        let delay = self.plan(key.route).messages[key.index].delay;
        let mut state = self.lock();
        let Some(queue) = state.queues.get_mut(&key.route) else {
            return;
        };
        queue.publish(now, key.index, delay);
        state.ledger.record(now, Event::Published(key));
        drop(state);
        self.arrived(key.route);
    }

    /// Loses the connection of a route, and with it all leases.
    pub fn disconnect(&self, route: usize, down: Millis) {
        let now = self.now();
        let mut state = self.lock();
        let state = &mut *state;
        state.faults[Fault::LostConnections as usize] += 1;
        if let Some(queue) = state.queues.get_mut(&route) {
            queue.disconnect(&mut state.ledger, now, down);
        }
        self.say(route, Notice::LeasesLost);
        self.arrived(route);
    }

    /// Says something between calls.
    fn say(&self, route: usize, notice: Notice) {
        if let Some(signals) = self.signals.get(&route) {
            let mut notices = signals
                .notices
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            notices.push_back(notice);
            signals.said.notify_one();
        }
    }

    /// A provider opens a queue, or closes it: what it has not heard is forgotten.
    fn open(&self, route: usize, is_open: bool) {
        if let Some(queue) = self.lock().queues.get_mut(&route) {
            queue.is_open = is_open;
        }
        if let Some(signals) = self.signals.get(&route) {
            let mut notices = signals
                .notices
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            notices.clear();
        }
    }

    /// Returns what the broker says next.
    async fn heard(&self, route: usize, app: u32) -> Notice {
        loop {
            let Some(signals) = self.signals.get(&route) else {
                return std::future::pending().await;
            };
            let said = signals.said.notified();
            if self.is_dead(app) {
                // It is said to whoever lives.
                signals.said.notify_one();
                return std::future::pending().await;
            }
            let next = signals
                .notices
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop_front();
            match next {
                Some(notice) => return notice,
                None => said.await,
            }
        }
    }

    /// Looks once a second for what does not happen although it should.
    pub fn watch(&self) {
        let now = self.now();
        let mut state = self.lock();
        let State { ledger, queues, .. } = &mut *state;
        let waiting = queues.iter_mut().map(|(route, queue)| {
            queue.tick(ledger, now);
            (*route, queue.receivable())
        });
        let waiting = waiting.collect();
        ledger.watch(now, &waiting);
    }

    /// Returns which delivery of a message this is, and of which one.
    pub fn delivery(&self, id: DeliveryId) -> (MessageKey, u32, u32) {
        let state = self.lock();
        let delivery = state.ledger.delivery(id);
        (delivery.given.message, delivery.given.nth, delivery.app)
    }

    /// Returns the plan of a route.
    #[must_use]
    pub fn plan(&self, route: usize) -> &RoutePlan {
        let mut routes = self.scenario.routes.iter();
        routes
            .find(|plan| plan.number == route)
            .unwrap_or(&self.scenario.routes[0])
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arrived(&self, route: usize) {
        if let Some(signals) = self.signals.get(&route) {
            signals.arrived.notify_waiters();
        }
    }
}
