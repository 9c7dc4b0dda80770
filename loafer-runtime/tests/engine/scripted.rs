//! A broker that does as it is told.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use loafer_core::{
    Error,
    broker::{
        Broker, Capabilities, Delivery, Finding, NoOptions, Notice, Open, Provider, Publisher,
        Renewed, Settle, Settled, Settlement, Source, Topic,
    },
    extract::Batch,
    message::{Message, MessageId, Outgoing},
    policy::{Backoff, Policy},
    translate::Json,
};
use loafer_runtime::program::{App, Manager, Route, RouteOptions, Running};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
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
    /// Whether it keeps order, all messages being of one group.
    pub(crate) ordered: bool,
    /// 30 s, unless a test says otherwise.
    pub(crate) lease: Option<Duration>,
    /// What settlements of a payload are answered, before it is `Done`.
    pub(crate) answers: VecDeque<(u64, Answer)>,
    /// How long a settlement call takes, and then happens.
    pub(crate) settlements_take: Duration,
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
    pub(crate) gone: Vec<u64>,
    pub(crate) notice: Arc<Notify>,
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
        script.notice.notify_one();
    }

    pub(crate) fn acked(&self) -> Vec<(String, Instant)> {
        self.0.lock().unwrap().acked.clone()
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
        let app = App::new().broker(self.clone());
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

impl Broker for Scripted {
    type Provider = Self;
    type Publisher = Self;
    type Options = NoOptions;
    const KIND: &'static str = "scripted";

    fn provider(&self, _: &Source, _: &NoOptions) -> Result<Self, Error> {
        Ok(self.clone())
    }

    fn publisher(&self) -> Self {
        self.clone()
    }
}

impl Publisher for Scripted {
    async fn publish(
        &self,
        _: &Topic,
        batch: &[Outgoing],
        answers: &mut Vec<Result<MessageId, Error>>,
    ) {
        answers.extend(
            batch
                .iter()
                .map(|outgoing| Ok(outgoing.message.id().clone())),
        );
    }
}

impl Provider for Scripted {
    type Receipt = u64;

    async fn open(&self, _: Open) -> Result<(), Error> {
        Ok(())
    }

    async fn check(&self, _: &Policy) -> Vec<Finding> {
        Vec::new()
    }

    async fn receive(
        &self,
        max: usize,
        wait: Duration,
        into: &mut Vec<Delivery<u64>>,
    ) -> Result<(), Error> {
        let next = {
            let mut script = self.0.lock().unwrap();
            script.receives += 1;
            let fits = script
                .deliveries
                .front()
                .is_some_and(|(_, numbers)| numbers.len() <= max);
            if fits {
                script.deliveries.pop_front()
            } else {
                None
            }
        };
        let Some((at, numbers)) = next else {
            sleep(wait).await;
            return Ok(());
        };
        sleep_until(at).await;
        // An answer is read in several polls.
        tokio::task::yield_now().await;
        let mut script = self.0.lock().unwrap();
        let delivery = |number: u64| {
            let attempt = script.delivered.entry(number).or_default();
            *attempt += 1;
            let attempt = *attempt;
            let id = script.senders_ids.get(&number);
            let id = id.map_or_else(|| number.to_string(), |id| (*id).to_owned());
            Delivery {
                receipt: number,
                message: Message::with_id(id, number.to_string())
                    .with_group("g")
                    .with_attempt(attempt),
            }
        };
        into.extend(numbers.into_iter().map(delivery));
        Ok(())
    }

    async fn settle(&self, batch: &[Settle<u64>], answers: &mut Vec<Settled>) {
        let time = self.0.lock().unwrap().settlements_take;
        sleep(time).await;
        let mut script = self.0.lock().unwrap();
        script
            .settled
            .push(batch.iter().map(|entry| entry.receipt).collect());
        for entry in batch {
            let next = script
                .answers
                .iter()
                .position(|(payload, _)| *payload == entry.receipt);
            match next.and_then(|at| script.answers.remove(at)) {
                Some((_, Answer::Failed)) => {
                    let error = Error::Start("not now".to_owned());
                    answers.push(Settled::Failed(Arc::new(error)));
                    continue;
                }
                Some((_, Answer::Lost)) => {
                    answers.push(Settled::Lost);
                    continue;
                }
                None => {}
            }
            if matches!(entry.settlement, Settlement::Ack) {
                let payload = String::from_utf8_lossy(entry.message.payload()).into_owned();
                script.acked.push((payload, Instant::now()));
            } else {
                script.refusals.push(format!("{:?}", entry.settlement));
            }
            answers.push(Settled::Done);
        }
    }

    async fn renew(&self, leases: &[u64], _: Duration, answers: &mut Vec<Renewed>) {
        let (after, refused) = {
            let script = self.0.lock().unwrap();
            (script.renewals_are_refused_after, script.refused.clone())
        };
        if let Some(after) = after {
            sleep(after).await;
        }
        answers.extend(leases.iter().map(|lease| {
            if after.is_some() && (refused.is_empty() || refused.contains(lease)) {
                Renewed::Lost
            } else {
                Renewed::Done
            }
        }));
    }

    fn capabilities(&self) -> Capabilities {
        let script = self.0.lock().unwrap();
        Capabilities {
            receive_batch: 10,
            settle_batch: 10,
            receivers: 2,
            settlers: 2,
            linger: Duration::from_secs(1),
            lease: script
                .lease
                .or(Some(Duration::from_secs(30)))
                .filter(|_| !script.leaseless),
            lease_ceiling: script.ceiling,
            ordered: script.ordered,
            own_ids: script.senders_ids.is_empty(),
            backoff: script.backoff.clone(),
            max_attempts: script.max_attempts,
            ..Capabilities::default()
        }
    }

    fn set_capacity(&self, messages: usize) {
        let mut script = self.0.lock().unwrap();
        let receives = script.receives;
        script.holds.push((messages, receives));
    }

    async fn notice(&self) -> Notice {
        let notice = self.0.lock().unwrap().notice.clone();
        notice.notified().await;
        Notice::LeasesLost
    }

    fn is_live(&self, lease: &u64) -> bool {
        !self.0.lock().unwrap().gone.contains(lease)
    }
}
