//! The engine on a scripted broker: what no broker does on demand.

#![allow(
    clippy::unwrap_used,
    reason = "outside of a test function, a helper panics as one"
)]

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
struct Scripted(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    /// Payloads, and when they can be received.
    deliveries: VecDeque<(Instant, Vec<u64>)>,
    /// How long a renewal takes, and that it is refused then.
    renewals_are_refused_after: Option<Duration>,
    /// Whose renewals are refused then; none: everybody's.
    refused: Vec<u64>,
    /// Whether it keeps order, all messages being of one group.
    ordered: bool,
    /// 30 s, unless a test says otherwise.
    lease: Option<Duration>,
    /// What settlements of a payload are answered, before it is `Done`.
    answers: VecDeque<(u64, Answer)>,
    /// How long a settlement call takes, and then happens.
    settlements_take: Duration,
    /// The payloads of each settlement call.
    settled: Vec<Vec<u64>>,
    /// What the handler was called with.
    handled: Vec<u64>,
    /// What was acked, and when.
    acked: Vec<(String, Instant)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Answer {
    Failed,
    Lost,
}

impl Scripted {
    fn then(self, at: Duration, numbers: impl IntoIterator<Item = u64>) -> Self {
        let at = Instant::now() + at;
        self.0
            .lock()
            .unwrap()
            .deliveries
            .push_back((at, numbers.into_iter().collect()));
        self
    }

    /// The next settlement of this payload is answered so.
    fn answering(self, payload: u64, answer: Answer) -> Self {
        self.0.lock().unwrap().answers.push_back((payload, answer));
        self
    }

    fn acked(&self) -> Vec<(String, Instant)> {
        self.0.lock().unwrap().acked.clone()
    }

    async fn start(&self, options: RouteOptions, handler: fn(u64) -> Duration) -> Running {
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
    async fn start_batches(&self, call: Duration) -> Running {
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

    async fn start_route(&self, route: Route) -> Running {
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
            ..Capabilities::default()
        }
    }
}

#[tokio::test(start_paused = true)]
async fn acks_of_quick_messages_wait_a_linger_and_not_for_slow_ones() {
    let slow = (0..9).map(|number| 600_000 + number);
    let broker = Scripted::default()
        .then(Duration::ZERO, slow)
        .then(Duration::from_secs(5), 1..=5);
    let started = Instant::now();
    let handler = |milliseconds| {
        Duration::from_millis(if milliseconds < 600_000 {
            0
        } else {
            milliseconds
        })
    };
    let _running = broker.start(RouteOptions::new(), handler).await;
    sleep(Duration::from_secs(8)).await;
    let acked = broker.acked();
    assert_eq!(acked.len(), 5);
    assert!(
        acked
            .iter()
            .all(|(_, at)| *at <= started + Duration::from_secs(7)),
        "{acked:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_refused_renewal_does_not_touch_the_next_message_of_its_slot() {
    let broker = Scripted::default()
        .then(Duration::ZERO, [22_000])
        .then(Duration::from_secs(23), [10_000]);
    broker.0.lock().unwrap().renewals_are_refused_after = Some(Duration::from_secs(5));
    let options = RouteOptions::new().concurrency(1).prefetch(1);
    let running = broker.start(options, Duration::from_millis).await;
    sleep(Duration::from_secs(40)).await;
    let acked: Vec<_> = broker
        .acked()
        .into_iter()
        .map(|(payload, _)| payload)
        .collect();
    assert_eq!(acked, ["22000", "10000"], "{:?}", running.stats("r"));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_can_not_be_renewed_cancels_its_handler_and_sends_nothing() {
    let broker = Scripted::default().then(Duration::ZERO, [100_000]);
    broker.0.lock().unwrap().renewals_are_refused_after = Some(Duration::ZERO);
    let running = broker
        .start(RouteOptions::new(), Duration::from_millis)
        .await;
    sleep(Duration::from_secs(200)).await;
    assert_eq!(broker.acked(), []);
    assert_eq!(running.stats("r").unwrap().lost, 1);
    assert_eq!(running.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_waits_behind_a_lost_lease_is_never_run() {
    let broker = Scripted::default().then(Duration::ZERO, [100_000, 1, 2]);
    {
        let mut script = broker.0.lock().unwrap();
        script.ordered = true;
        script.renewals_are_refused_after = Some(Duration::ZERO);
    }
    let running = broker
        .start(RouteOptions::new(), Duration::from_millis)
        .await;
    sleep(Duration::from_secs(200)).await;
    assert_eq!(broker.acked(), []);
    let stats = running.stats("r").unwrap();
    assert_eq!((stats.received, stats.acked), (3, 0));
    assert_eq!(running.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_failed_of_a_batch_is_settled_again_alone() {
    let broker = Scripted::default()
        .then(Duration::ZERO, 0..10)
        .answering(3, Answer::Failed)
        .answering(3, Answer::Failed)
        .answering(7, Answer::Failed);
    let running = broker.start(RouteOptions::new(), |_| Duration::ZERO).await;
    sleep(Duration::from_secs(10)).await;
    assert_eq!(running.stats("r").unwrap().acked, 10);
    let script = broker.0.lock().unwrap();
    assert_eq!(script.settled.len(), 3);
    assert_eq!(script.settled[0].len(), 10);
    assert_eq!(script.settled[1..], [vec![3, 7], vec![3]]);
}

#[tokio::test(start_paused = true)]
async fn a_handled_message_whose_ack_was_lost_is_acked_on_redelivery_without_its_handler() {
    let broker = Scripted::default()
        .then(Duration::ZERO, [1, 2])
        .then(Duration::from_secs(30), [2, 3])
        .then(Duration::from_secs(60), [2])
        .answering(2, Answer::Lost);
    let running = broker.start(RouteOptions::new(), |_| Duration::ZERO).await;
    sleep(Duration::from_secs(100)).await;
    let stats = running.stats("r").unwrap();
    assert_eq!((stats.acked, stats.lost, stats.repeated), (4, 1, 1));
    // Once its ack is confirmed it is forgotten: a third delivery is a new one.
    assert_eq!(broker.0.lock().unwrap().handled, [1, 2, 3, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_goes_on_without_the_messages_whose_leases_are_lost() {
    let broker = Scripted::default().then(Duration::ZERO, [1, 2, 3]);
    {
        let mut script = broker.0.lock().unwrap();
        script.renewals_are_refused_after = Some(Duration::ZERO);
        script.refused = vec![2, 3];
    }
    let running = broker.start_batches(Duration::from_secs(100)).await;
    sleep(Duration::from_secs(200)).await;
    let acked: Vec<_> = broker.acked().into_iter().map(|(of, _)| of).collect();
    assert_eq!(acked, ["1"]);
    assert_eq!(broker.0.lock().unwrap().handled, [1, 2, 3]);
    let stats = running.stats("r").unwrap();
    assert_eq!((stats.acked, stats.lost), (1, 2));
    assert_eq!(running.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_batch_all_of_whose_leases_are_lost_is_cancelled() {
    let broker = Scripted::default().then(Duration::ZERO, [1, 2, 3]);
    broker.0.lock().unwrap().renewals_are_refused_after = Some(Duration::ZERO);
    let running = broker.start_batches(Duration::from_secs(100)).await;
    sleep(Duration::from_secs(90)).await;
    assert_eq!(running.held(), 0);
    sleep(Duration::from_secs(100)).await;
    assert_eq!(broker.acked(), []);
    assert!(broker.0.lock().unwrap().handled.is_empty());
    assert_eq!(running.stats("r").unwrap().lost, 3);
}

#[tokio::test(start_paused = true)]
async fn an_ack_without_an_answer_is_not_tried_beyond_its_lease() {
    let broker = Scripted::default()
        .then(Duration::ZERO, [1])
        .then(Duration::from_secs(100), [2]);
    broker.0.lock().unwrap().settlements_take = Duration::from_secs(60);
    let running = broker.start(RouteOptions::new(), |_| Duration::ZERO).await;
    sleep(Duration::from_secs(90)).await;
    assert_eq!(broker.acked(), []);
    assert_eq!(running.stats("r").unwrap().lost, 1);
    assert_eq!(running.held(), 0);
    assert!(!running.is_ready());

    broker.0.lock().unwrap().settlements_take = Duration::from_secs(10);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(running.stats("r").unwrap().acked, 1);
    assert!(running.is_ready());
}

#[tokio::test]
async fn what_came_while_the_program_was_stopped_is_neither_started_nor_settled() {
    let broker = Scripted::default().then(Duration::from_millis(100), [0]);
    broker.0.lock().unwrap().lease = Some(Duration::from_secs(2));
    let running = broker
        .start(RouteOptions::new(), Duration::from_millis)
        .await;
    tokio::task::yield_now().await;
    // The one thread of this runtime, as SIGSTOP takes all of a program.
    std::thread::sleep(Duration::from_millis(2100));
    let lost = async {
        while running.stats("r").unwrap().lost == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), lost)
        .await
        .unwrap();
    assert_eq!(running.stats("r").unwrap().received, 1);
    assert_eq!(broker.0.lock().unwrap().handled, [0; 0]);
    assert_eq!(broker.acked(), []);
}
