//! The provider of a route: deliveries pushed by the broker, settled together.

mod acks;
mod pump;
mod receive;
mod settle;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use loafer_core::{
    Backoff, Capabilities, Delivery, Error, Finding, Notice, Open, Policy, Provider, Renewed,
    Settle, Settled, Source,
};
use tokio::sync::Notify;

use self::receive::Consuming;
use crate::{
    broker::Shared,
    rights::may_consume,
    topology::{Plan, delay, find::find},
};

/// Messages worth holding ahead of the handlers, where a route does not say: a delivery on the way is cheaper than a handler without work.
const PREFETCH: usize = 100;

/// Messages handed to the route at once.
const BATCH: usize = 100;

/// How long acks wait for one another: one frame settles all that came before.
const LINGER: Duration = Duration::from_millis(1);

/// After how many attempts a message goes to the dead letters, where a route does not say.
const MAX_ATTEMPTS: u32 = 5;

/// The first delay of a retry, where a route does not say; it doubles up to 15 minutes.
const BACKOFF: Duration = Duration::from_secs(1);

/// How long RabbitMQ lets a message go unsettled, unless its `consumer_timeout` was changed (RabbitMQ docs, "Delivery Acknowledgement Timeout").
const CONSUMER_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// The most messages RabbitMQ pushes ahead (`basic.qos` counts in 16 bits).
const MOST_PUSHED: usize = u16::MAX as usize;

/// Consumes one queue of RabbitMQ.
pub struct AmqpProvider {
    shared: Arc<Shared>,
    plan: Plan,
    /// Messages to be pushed ahead: as many as the route has places.
    places: AtomicUsize,
    /// What is consumed at the moment; none while the connection is lost.
    current: Mutex<Option<Arc<Consuming>>>,
    /// Held while it is begun.
    beginning: tokio::sync::Mutex<()>,
    epochs: AtomicU64,
    /// The epoch whose deliveries can be settled; 0: none.
    alive: Arc<AtomicU64>,
    /// Told when something is consumed.
    begun: Notify,
    /// Which epoch's end is waited for; 0: none was yet.
    watched: AtomicU64,
    /// The queues of the ladder that are known to be there.
    rungs: Mutex<Vec<Duration>>,
}

/// What settles one delivery: its tag, and the channel it came on. A tag means nothing on another channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    epoch: u64,
    tag: u64,
}

impl AmqpProvider {
    pub(crate) fn new(shared: Arc<Shared>, source: &Source) -> Result<Self, Error> {
        let plan = Plan::new(source, shared.options.exchange());
        if source.app.is_none() && !source.named {
            return Err(Error::Config(format!(
                "its queue would have no name of its own: set `app = \"…\"` at the top of loafer.toml, and the queue is `{}.<app>`; or name the queue",
                source.queue
            )));
        }
        plan.check_names()?;
        Ok(Self {
            shared,
            plan,
            places: AtomicUsize::new(PREFETCH),
            current: Mutex::default(),
            beginning: tokio::sync::Mutex::default(),
            epochs: AtomicU64::new(0),
            alive: Arc::default(),
            begun: Notify::new(),
            watched: AtomicU64::new(0),
            rungs: Mutex::default(),
        })
    }

    fn current(&self) -> MutexGuard<'_, Option<Arc<Consuming>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is consumed now; none where its channel is gone.
    fn live(&self) -> Option<Arc<Consuming>> {
        self.current().as_ref().filter(|now| now.is_live()).cloned()
    }

    /// Begins to consume where nothing is consumed; after a loss everything is declared again first.
    async fn consuming(&self) -> Result<Arc<Consuming>, Error> {
        if let Some(live) = self.live().filter(|live| !live.is_canceled()) {
            return Ok(live);
        }
        let _beginning = self.beginning.lock().await;
        if let Some(live) = self.live() {
            live.resume(&self.plan).await?;
            return Ok(live);
        }
        // What was there stays until everything is there again: a try that fails, or is dropped, is made again.
        let again = self.current().is_some();
        if again {
            self.establish_again().await?;
        }
        let epoch = self.epochs.fetch_add(1, Ordering::Relaxed) + 1;
        let places = self.places.load(Ordering::Relaxed).clamp(1, MOST_PUSHED);
        let begun = Consuming::begin(
            &self.shared.consuming,
            &self.plan,
            (epoch, &self.alive),
            places as u16,
        )
        .await;
        let consuming = match begun {
            Ok(consuming) => Arc::new(consuming),
            Err(error) => {
                // The queue may be gone: it is declared again before the next try.
                self.current()
                    .replace(Arc::new(Consuming::none(&self.plan.queue)));
                return Err(error);
            }
        };
        self.current().replace(consuming.clone());
        self.begun.notify_one();
        Ok(consuming)
    }

    /// After a loss the broker may be another one, with nothing of ours on it.
    async fn establish_again(&self) -> Result<(), Error> {
        let (link, queue) = (&self.shared.consuming, &self.plan.queue);
        let gone = find(link, queue).await?.is_none();
        self.plan.establish(link, false).await?;
        self.rungs().clear();
        if gone {
            let route = &self.plan.route;
            tracing::error!(
                %route, %queue,
                "the queue was gone and was made again: what it held is lost, with its retries, unless it is on another broker"
            );
        }
        Ok(())
    }

    fn consumer_timeout(&self) -> Duration {
        let of_queue = self.plan.consumer_timeout();
        let said = of_queue.or(self.shared.options.consumer_timeout);
        said.unwrap_or(CONSUMER_TIMEOUT)
    }

    fn rungs(&self) -> MutexGuard<'_, Vec<Duration>> {
        self.rungs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Provider for AmqpProvider {
    type Receipt = Receipt;

    /// Connects and declares: exchange, queue, bindings, the queue of the dead letters. That the queue may not be consumed is told here, too.
    async fn open(&self, mode: Open) -> Result<(), Error> {
        if mode == Open::Look {
            return Ok(());
        }
        let create = mode == Open::Create;
        let link = &self.shared.consuming;
        self.plan.establish(link, create).await?;
        may_consume(link, &self.plan.queue).await
    }

    async fn check(&self, policy: &Policy) -> Vec<Finding> {
        crate::check::check(&self.shared, &self.plan, policy, &self.capabilities()).await
    }

    async fn receive(
        &self,
        max: usize,
        wait: Duration,
        into: &mut Vec<Delivery<Receipt>>,
    ) -> Result<(), Error> {
        self.consuming().await?.receive(max, wait, into).await
    }

    async fn settle(&self, batch: &[Settle<Receipt>], answers: &mut Vec<Settled>) {
        self.settle_all(batch, answers).await;
    }

    /// Nothing is asked of the broker: a delivery is ours while its channel lives.
    async fn renew(&self, leases: &[Receipt], _: Duration, answers: &mut Vec<Renewed>) {
        answers.extend(leases.iter().map(|lease| match self.holds(lease) {
            true => Renewed::Done,
            false => Renewed::Lost,
        }));
    }

    fn hold(&self, messages: usize) {
        self.places.store(messages, Ordering::Relaxed);
    }

    async fn notice(&self) -> Notice {
        loop {
            let current = self.current().clone();
            let Some(consuming) = current.filter(|now| now.is_live()) else {
                self.begun.notified().await;
                continue;
            };
            let watched = self.watched.swap(consuming.epoch, Ordering::Relaxed);
            // Another channel in the place of one that was watched: that one is gone, whether or not it was told.
            if watched == 0 || watched == consuming.epoch {
                tokio::select! {
                    () = consuming.ended() => {}
                    // Another one: it is looked at anew.
                    () = self.begun.notified() => continue,
                }
            }
            return Notice::LeasesLost;
        }
    }

    fn holds(&self, lease: &Receipt) -> bool {
        self.alive.load(Ordering::Acquire) == lease.epoch
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            receive_batch: BATCH,
            pushed: true,
            prefetch: PREFETCH,
            settle_batch: BATCH,
            receivers: 1,
            settlers: 1,
            // A receive that is dropped has taken nothing: what was pushed waits here.
            receive_grace: Duration::ZERO,
            linger: LINGER,
            lease_ceiling: Some(self.consumer_timeout()),
            max_delay: Some(delay::LONGEST),
            release_costs_attempt: true,
            backoff: Some(Backoff::new(BACKOFF)),
            max_attempts: Some(MAX_ATTEMPTS),
            ..Capabilities::default()
        }
    }

    /// Ends the consumer: while a handler takes its time to the end, what RabbitMQ went on to push would wait here for nobody.
    async fn stop(&self) {
        if let Some(live) = self.live() {
            live.cancel().await;
        }
    }

    /// Stops consuming before the channel is closed: acks on their way are taken in first.
    async fn close(&self) {
        let current = self.current().take();
        if let Some(consuming) = current {
            consuming.close().await;
        }
    }
}

impl fmt::Debug for AmqpProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpProvider")
            .field("queue", &self.plan.queue)
            .finish_non_exhaustive()
    }
}
