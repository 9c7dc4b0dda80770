//! A broker that does as it is told.

mod provider;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::Range,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use loafer_core::{
    broker::{Capabilities, Leaving, Notice},
    extract::Batch,
    policy::Backoff,
    translate::Json,
};
use loafer_runtime::program::{App, Manager, Route, RouteOptions, Running};
use tokio::{
    sync::Notify,
    task,
    time::{Instant, sleep},
};

/// What the broker does, and what it was told.
#[derive(Clone, Default)]
pub(crate) struct Scripted(pub(crate) Arc<Mutex<Script>>);

#[derive(Default)]
pub(crate) struct Script {
    /// Payloads, and when they can be received.
    pub(crate) deliveries: VecDeque<(Instant, Vec<u64>)>,
    /// How long a renewal takes, and that it is refused then.
    pub(crate) renewals_are_refused_after: Option<Duration>,
    /// Whose renewals are refused then; none: everybody's.
    pub(crate) refused: Vec<u64>,
    /// Calls that renew any of these never end.
    pub(crate) renewals_hang: BTreeSet<u64>,
    /// Whether it keeps order.
    pub(crate) ordered: bool,
    /// The groups of payloads. All others are of one group.
    pub(crate) groups: BTreeMap<u64, &'static str>,
    /// What a test changes about its capabilities.
    pub(crate) capabilities: Option<fn(&mut Capabilities)>,
    /// Messages that any receive takes at once, as many as it may.
    pub(crate) queue: VecDeque<u64>,
    /// Each receive takes this long, and is given as many new messages as it may take.
    pub(crate) flood: Option<Duration>,
    /// Receives fail in these times.
    pub(crate) outages: Vec<Range<Instant>>,
    /// Every second receiver fails.
    pub(crate) half_fails: bool,
    /// The tasks that receive, in the order of their first receives.
    pub(crate) receivers: Vec<task::Id>,
    /// 30 s, unless a test says otherwise.
    pub(crate) lease: Option<Duration>,
    /// What settlements of a payload are answered, before it is `Done`.
    pub(crate) answers: VecDeque<(u64, Answer)>,
    /// How long a settlement call takes, and then happens.
    pub(crate) settlements_take: Duration,
    /// Settlements of these fail.
    pub(crate) unsettled: BTreeSet<u64>,
    /// Dead letters fail.
    pub(crate) dead_letters_fail: bool,
    /// Retries are refused for good.
    pub(crate) retries_refused: bool,
    /// Calls that settle any of these never end.
    pub(crate) settlements_hang: BTreeSet<u64>,
    /// Each settlement that was tried, and when.
    pub(crate) tried: Vec<(u64, Instant)>,
    /// How many messages are leased, and how many were at most.
    pub(crate) leased: (usize, usize),
    /// The payloads of each settlement call.
    pub(crate) settled: Vec<Vec<u64>>,
    /// What the handler was called with.
    pub(crate) handled: Vec<u64>,
    /// What was acked, and when.
    pub(crate) acked: Vec<(String, Instant)>,
    /// Leases last until the connection breaks.
    pub(crate) leaseless: bool,
    pub(crate) ceiling: Option<Duration>,
    /// The ids that senders chose, by payload; none: the broker's own.
    pub(crate) senders_ids: BTreeMap<u64, &'static str>,
    pub(crate) backoff: Option<Backoff>,
    pub(crate) max_attempts: Option<u32>,
    /// Payloads whose leases are over.
    pub(crate) gone: BTreeSet<u64>,
    pub(crate) notice: Arc<Notify>,
    /// What the broker says, once `notice` is notified.
    pub(crate) notices: VecDeque<Notice>,
    /// Payloads that stay when leases leave.
    pub(crate) stays: BTreeSet<u64>,
    /// When the delivery of messages was paused.
    pub(crate) pauses: Vec<Instant>,
    /// How many receives are in flight.
    pub(crate) receiving: usize,
    /// When each receive began.
    pub(crate) received_at: Vec<Instant>,
    /// How many receives there were, and how many messages it was told the route holds, after how many receives.
    pub(crate) receives: u32,
    pub(crate) holds: Vec<(usize, u32)>,
    /// How often each payload was delivered.
    pub(crate) delivered: BTreeMap<u64, u32>,
    /// All that was not acked, as it was settled.
    pub(crate) refusals: Vec<String>,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Answer {
    Failed,
    Lost,
}

impl Scripted {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap()
    }

    /// Leases have no end of their own.
    pub(crate) fn leaseless(self) -> Self {
        self.lock().leaseless = true;
        self
    }

    pub(crate) fn able(self, to: fn(&mut Capabilities)) -> Self {
        self.lock().capabilities = Some(to);
        self
    }

    pub(crate) fn holding(self, numbers: impl IntoIterator<Item = u64>) -> Self {
        self.lock().queue.extend(numbers);
        self
    }

    pub(crate) fn then(self, at: Duration, numbers: impl IntoIterator<Item = u64>) -> Self {
        let at = Instant::now() + at;
        self.0
            .lock()
            .unwrap()
            .deliveries
            .push_back((at, numbers.into_iter().collect()));
        self
    }

    /// The next settlement of this payload is answered so.
    pub(crate) fn answering(self, payload: u64, answer: Answer) -> Self {
        self.0.lock().unwrap().answers.push_back((payload, answer));
        self
    }

    /// The leases of these payloads end, and the broker says so.
    pub(crate) fn lose(&self, payloads: impl IntoIterator<Item = u64>) {
        let mut script = self.0.lock().unwrap();
        script.gone = payloads.into_iter().collect();
        drop(script);
        self.say(Notice::LeasesLost);
    }

    /// The broker says something.
    pub(crate) fn say(&self, notice: Notice) {
        let mut script = self.lock();
        script.notices.push_back(notice);
        script.notice.notify_one();
    }

    /// The broker takes back, within this time, the leases of all payloads but some. Returns how long it took until they were fenced.
    pub(crate) async fn leave(
        &self,
        within: Duration,
        stay: impl IntoIterator<Item = u64>,
    ) -> Duration {
        let (began, stays) = (Instant::now(), stay.into_iter().collect());
        self.lock().stays = stays;
        let (leaving, fenced) = Leaving::new(within);
        self.say(Notice::Leaving(leaving));
        fenced.await;
        began.elapsed()
    }

    pub(crate) fn acked(&self) -> Vec<(String, Instant)> {
        self.0.lock().unwrap().acked.clone()
    }

    /// The payloads that were acked, in order.
    pub(crate) fn acked_payloads(&self) -> Vec<u64> {
        let acked = self.acked().into_iter();
        acked.map(|(payload, _)| payload.parse().unwrap()).collect()
    }

    /// When a payload was acked first, or half an eternity if it was not.
    pub(crate) fn acked_after(&self, payload: u64, since: Instant) -> Duration {
        let payload = payload.to_string();
        let acked = self.acked().into_iter().find(|(of, _)| *of == payload);
        acked.map_or(Duration::MAX / 2, |(_, at)| at - since)
    }

    pub(crate) async fn start(
        &self,
        options: RouteOptions,
        handler: fn(u64) -> Duration,
    ) -> Running {
        let route = Route::new("r").provider::<Self>().options(options);
        let script = self.0.clone();
        let route = route.handler(Json, move |milliseconds: u64| {
            script.lock().unwrap().handled.push(milliseconds);
            async move {
                sleep(handler(milliseconds)).await;
                true
            }
        });
        self.start_route(route).await
    }

    /// All messages there are in one call, which takes so long.
    pub(crate) async fn start_batches(&self, call: Duration) -> Running {
        let route = Route::new("r").provider::<Self>();
        let script = self.0.clone();
        let route = route.batch_handler(Json, move |batch: Batch<u64>| {
            let script = script.clone();
            async move {
                sleep(call).await;
                script.lock().unwrap().handled.extend(batch.into_values());
                true
            }
        });
        self.start_route(route).await
    }

    pub(crate) async fn start_route(&self, route: Route) -> Running {
        self.start_app(App::new(), route).await
    }

    pub(crate) async fn start_app(&self, app: App, route: Route) -> Running {
        let app = app.broker(self.clone());
        Manager::builder()
            .app(app)
            .route(route)
            .build()
            .unwrap()
            .start()
            .await
            .unwrap()
    }
}
