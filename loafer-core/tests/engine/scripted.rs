//! A broker that does as it is told.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use loafer_core::{
    App, Batch, Broker, Capabilities, Delivery, Error, Finding, Json, Manager, Message, MessageId,
    Open, Outgoing, Policy, Provider, Publisher, Renewed, Route, RouteOptions, Running, Settle,
    Settled, Settlement, Source, Topic,
};
use tokio::time::{Instant, sleep, sleep_until};

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
    const NAME: &'static str = "scripted";

    fn provider(&self, _: &Source) -> Result<Self, Error> {
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
        let delivery = |number: u64| Delivery {
            receipt: number,
            message: Message::with_id(number.to_string(), number.to_string()).with_group("g"),
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
            lease: script.lease.or(Some(Duration::from_secs(30))),
            ordered: script.ordered,
            own_ids: true,
            ..Capabilities::default()
        }
    }
}
