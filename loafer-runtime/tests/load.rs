//! The engine under load: a deep queue whose broker counts what it is asked.

#![allow(
    clippy::unwrap_used,
    reason = "outside of a test function, a helper panics as one"
)]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use loafer_core::{
    Error,
    broker::{
        Broker, Capabilities, Delivery, Finding, NoOptions, Open, Provider, Publisher, Renewed,
        Settle, Settled, Settlement, Source, Topic,
    },
    message::{Message, MessageId, Outgoing},
    policy::Policy,
    translate::Json,
};
use loafer_runtime::program::{App, Manager, Route, RouteOptions, Running};
use tokio::time::{Instant, sleep};

/// Messages a call.
const BATCH: usize = 10;
/// Receives and settlements at once.
const CALLS: usize = 8;
/// What a call takes.
const ROUND_TRIP: Duration = Duration::from_millis(10);
const LEASE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_secs(20);

/// A queue of so many messages, which are their numbers.
#[derive(Clone, Default)]
struct Deep(Arc<Mutex<Counts>>);

#[derive(Default)]
struct Counts {
    messages: u64,
    /// The most messages that a receive brings, and how long it takes.
    batch: usize,
    pace: Duration,
    sent: u64,
    receives: usize,
    /// Received, and no settlement asked for yet.
    held: usize,
    most_held: usize,
    /// How often each message was acked.
    acked: BTreeMap<u64, usize>,
    /// Batches of ten leases that were renewed.
    renewals: usize,
}

impl Deep {
    fn of(messages: u64) -> Self {
        Self(Arc::new(Mutex::new(Counts {
            messages,
            batch: BATCH,
            pace: ROUND_TRIP,
            ..Counts::default()
        })))
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap()
    }

    /// Starts a route on it whose handlers take as long as `handler` says.
    async fn start(&self, options: RouteOptions, handler: fn(u64) -> Duration) -> Running {
        let route = Route::new("r").provider::<Self>().options(options);
        let route = route.handler(Json, move |number: u64| async move {
            sleep(handler(number)).await;
            true
        });
        let app = App::new().broker(self.clone());
        let manager = Manager::builder().app(app).route(route).build().unwrap();
        manager.start().await.unwrap()
    }

    /// Waits until everything is acked, each message once.
    async fn until_acked(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        loop {
            {
                let counts = self.counts();
                let (acked, messages) = (counts.acked.len() as u64, counts.messages);
                if acked == messages {
                    assert!(counts.acked.values().all(|times| *times == 1));
                    return;
                }
                assert!(
                    Instant::now() < deadline,
                    "{acked} of {messages} acked after {limit:?}"
                );
            }
            sleep(ROUND_TRIP).await;
        }
    }
}

impl Broker for Deep {
    type Provider = Self;
    type Publisher = Self;
    type Options = NoOptions;
    const KIND: &'static str = "deep";

    fn provider(&self, _: &Source, _: &NoOptions) -> Result<Self, Error> {
        Ok(self.clone())
    }

    fn publisher(&self) -> Self {
        self.clone()
    }
}

impl Publisher for Deep {
    async fn publish(
        &self,
        _: &Topic,
        batch: &[Outgoing],
        answers: &mut Vec<Result<MessageId, Error>>,
    ) {
        answers.extend(batch.iter().map(|sent| Ok(sent.message.id().clone())));
    }
}

impl Provider for Deep {
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
        let takes = {
            let mut counts = self.counts();
            counts.receives += 1;
            let is_empty = counts.sent == counts.messages;
            if is_empty { wait } else { counts.pace }
        };
        sleep(takes).await;
        let mut counts = self.counts();
        let end = counts
            .messages
            .min(counts.sent + max.min(counts.batch) as u64);
        into.extend((counts.sent..end).map(|number| Delivery {
            receipt: number,
            message: Message::new(number.to_string()),
        }));
        counts.held += (end - counts.sent) as usize;
        counts.sent = end;
        counts.most_held = counts.most_held.max(counts.held);
        Ok(())
    }

    async fn settle(&self, batch: &[Settle<u64>], answers: &mut Vec<Settled>) {
        self.counts().held -= batch.len();
        sleep(ROUND_TRIP).await;
        for entry in batch {
            assert!(matches!(entry.settlement, Settlement::Ack));
            *self.counts().acked.entry(entry.receipt).or_default() += 1;
            answers.push(Settled::Done);
        }
    }

    async fn renew(&self, leases: &[u64], _: Duration, answers: &mut Vec<Renewed>) {
        self.counts().renewals += leases.len().div_ceil(BATCH);
        sleep(ROUND_TRIP).await;
        answers.extend(leases.iter().map(|_| Renewed::Done));
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            receive_batch: BATCH,
            settle_batch: BATCH,
            receivers: CALLS,
            settlers: CALLS,
            linger: Duration::from_secs(1),
            lease: Some(LEASE),
            wait: POLL,
            ..Capabilities::default()
        }
    }
}

#[tokio::test(start_paused = true)]
async fn beside_a_handler_of_a_minute_the_other_places_keep_turning() {
    const SECONDS: u64 = 55;
    let queue = Deep::of(1 + 199 * SECONDS);
    let options = RouteOptions::new().concurrency(200);
    let slow_first = |number| Duration::from_secs(if number == 0 { 60 } else { 1 });
    let _running = queue.start(options, slow_first).await;
    sleep(Duration::from_secs(SECONDS + 4)).await;
    {
        let counts = queue.counts();
        assert!(!counts.acked.contains_key(&0));
        assert_eq!(counts.acked.len() as u64, 199 * SECONDS);
    }
    queue.until_acked(Duration::from_secs(3)).await;
}

#[tokio::test(start_paused = true)]
async fn of_a_deep_queue_no_more_is_held_than_concurrency_and_prefetch() {
    let queue = Deep::of(10_000);
    let options = RouteOptions::new().concurrency(50).prefetch(30);
    let _running = queue.start(options, |_| Duration::from_millis(40)).await;
    queue.until_acked(Duration::from_secs(60)).await;
    let most = queue.counts().most_held;
    assert!((51..=80).contains(&most), "{most} held at once");
}

#[tokio::test(start_paused = true)]
async fn handlers_of_ten_leases_run_once_and_share_their_renewals() {
    let second = Duration::from_secs(1);
    for (messages, batch, pace) in [(10, 10, ROUND_TRIP), (50, 10, second), (10, 1, second)] {
        let queue = Deep::of(messages);
        (queue.counts().batch, queue.counts().pace) = (batch, pace);
        let options = RouteOptions::new().concurrency(messages as usize);
        let _running = queue.start(options, |_| 10 * LEASE).await;
        queue.until_acked(11 * LEASE).await;
        let each = queue.counts().renewals as f64 / messages as f64 / 10.0;
        assert!(
            each > 0.0 && each <= 0.2,
            "{each} renewals for each message and lease, of {messages} received by the {batch} in {pace:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_queue_is_asked_once_a_poll_also_after_it_was_deep() {
    let queue = Deep::of(5_000);
    let _running = queue
        .start(RouteOptions::new().concurrency(50), |_| Duration::ZERO)
        .await;
    queue.until_acked(Duration::from_secs(30)).await;
    let deep = queue.counts().receives;
    assert!(deep <= 500 + CALLS, "{deep} receives for 500 full ones");
    // The long polls that were begun together end first.
    sleep(POLL).await;
    let before = queue.counts().receives;
    sleep(180 * POLL).await;
    let polls = queue.counts().receives - before;
    assert!((179..=181).contains(&polls), "{polls} polls in an hour");
}
