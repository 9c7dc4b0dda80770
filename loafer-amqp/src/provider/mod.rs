//! The provider of a route: it takes the messages that RabbitMQ pushes, and settles them together.
//!
//! | module | what it is |
//! |---|---|
//! | `receive` | one consumer on one channel |
//! | `pump` | reading what RabbitMQ pushes |
//! | `prefetch` | how many messages it pushes |
//! | `acks` | which deliveries are settled, and in how few frames |
//! | `ack_dedup` | messages whose acks may have been lost |
//! | `isolated` | messages that are handed over alone |
//! | `isolating` | copies of such messages |
//! | `settle` | acks, and confirmed copies for retries and dead letters |
//! | `notice` | losses of the connection, and its return |
//! | `uncopied` | what becomes of a message whose copy can't be made |

mod ack_dedup;
mod acks;
mod isolated;
mod isolating;
mod notice;
mod prefetch;
mod pump;
mod receive;
mod settle;
mod uncopied;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use loafer_core::{
    Error,
    broker::{
        Capabilities, Delivery, Depth, DueTime, Finding, Isolated, Notice, Open, Provider, Renewed,
        Settle, Settled, Source,
    },
    policy::{Backoff, Policy},
};
use tokio::{sync::Notify, time::Instant};

use self::{
    ack_dedup::AckDedup,
    isolated::Isolation,
    notice::Connection,
    prefetch::{LOOK, Prefetch},
    receive::ConsumerChannel,
};
use crate::{
    client::{Link, config::Config},
    due::DueMessages,
    options::Options,
    publisher::channels::PublishChannels,
    topology::{Plan, find},
};

/// How many messages to hold ahead of the handlers at most, unless the route says otherwise. A delivery that waits is cheaper than a handler without
/// work.
const PREFETCH: usize = 100;

/// How many messages the route gets at once.
const BATCH: usize = 100;

/// How long acks wait for one another, since one frame settles all deliveries before it.
const LINGER: Duration = Duration::from_millis(1);

/// After how many attempts a message goes to the dead letters, unless the route says otherwise.
const MAX_ATTEMPTS: u32 = 5;

/// The first delay of a retry, unless the route says otherwise. It doubles up to 15 minutes.
const BACKOFF: Duration = Duration::from_secs(1);

/// How long RabbitMQ lets a message go unsettled, unless its `consumer_timeout` was changed (RabbitMQ docs, "Delivery Acknowledgement Timeout").
const CONSUMER_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// Consumes one queue of RabbitMQ.
pub struct AmqpProvider {
    link: Arc<Link>,
    /// Publishes the copies of retries and dead letters.
    channels: Arc<PublishChannels>,
    /// Carries on what comes out of the delay queues.
    due: Arc<DueMessages>,
    plan: Plan,
    /// RabbitMQ's `consumer_timeout`, if the configuration says it.
    consumer_timeout: Option<Duration>,
    /// How many messages RabbitMQ pushes ahead.
    prefetch: Prefetch,
    /// The last consumer, which may be lost. `None` before the first receive and after `close`.
    current: Mutex<Option<Arc<ConsumerChannel>>>,
    /// Held while a consumer is begun, so that there is one at most.
    beginning: tokio::sync::Mutex<()>,
    /// The number of the last consumer, counted from 1.
    epochs: AtomicU64,
    /// The epoch whose deliveries can be settled. 0 means none. A consumer sets it when it begins; its pump sets 0 when its channel is lost, unless a
    /// later consumer has begun by then. After `cancel` it stays until the next consumer begins.
    alive: Arc<AtomicU64>,
    /// Notified when a consumer has begun.
    begun: Notify,
    /// The epoch whose end `notice` waits for. 0 means that it waited for none yet.
    watched: AtomicU64,
    /// What `notice` has said of the connection.
    connection: Mutex<Connection>,
    /// The delays whose delay queues are known to exist. Cleared after a lost connection, and when one of them turned out to be missing.
    delay_queues: Mutex<Vec<Duration>>,
    isolation: Isolation,
}

/// The receipt of one delivery: its tag, and the epoch of the channel that it came on. A tag means nothing on another channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    epoch: u64,
    tag: u64,
}

impl AmqpProvider {
    pub(crate) fn new(
        config: &Config,
        link: Arc<Link>,
        (channels, due): (Arc<PublishChannels>, Arc<DueMessages>),
        (source, options): (&Source, &Options),
    ) -> Result<Self, Error> {
        if let Some(fault) = options.fault() {
            return Err(Error::Config(fault.to_owned()));
        }
        let plan = Plan::new(source, options, config);
        if source.consumer.is_none() && !source.named {
            return Err(Error::Config(format!(
                "its queue would have no name of its own: set `app = \"…\"` at the top of loafer.toml, and the queue is `{}.<app>`; or name the queue",
                source.queue
            )));
        }
        plan.check_names()?;
        Ok(Self {
            link,
            channels,
            due,
            plan,
            consumer_timeout: config.consumer_timeout,
            prefetch: Prefetch::new(&source.policy, options, PREFETCH),
            current: Mutex::default(),
            beginning: tokio::sync::Mutex::default(),
            epochs: AtomicU64::new(0),
            alive: Arc::default(),
            begun: Notify::new(),
            watched: AtomicU64::new(0),
            connection: Mutex::new(Connection::Up),
            delay_queues: Mutex::default(),
            isolation: Isolation::default(),
        })
    }

    fn current(&self) -> MutexGuard<'_, Option<Arc<ConsumerChannel>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the consumer. `None` means that its channel is lost.
    fn live(&self) -> Option<Arc<ConsumerChannel>> {
        self.current().as_ref().filter(|now| now.is_live()).cloned()
    }

    /// Returns the consumer. Begins one if there is none, and declares everything again first after a loss.
    async fn consumer(&self) -> Result<Arc<ConsumerChannel>, Error> {
        if let Some(live) = self.live().filter(|live| !live.is_canceled()) {
            return Ok(live);
        }
        let _beginning = self.beginning.lock().await;
        if let Some(live) = self.live() {
            live.resume(&self.plan).await?;
            return Ok(live);
        }
        // The lost consumer stays until everything was declared again, so that a try that fails, or is dropped, is repeated.
        let again = self.current().is_some();
        if again {
            self.establish_again().await?;
        }
        let epoch = self.epochs.fetch_add(1, Ordering::Relaxed) + 1;
        let (prefetch, most) = self.prefetch.bounds().into_inner();
        let of = (epoch, &self.alive);
        let handled = self.handled_so_far(most);
        let begun = ConsumerChannel::begin(&self.link, &self.plan, of, prefetch, handled).await;
        let consumer = match begun {
            Ok(consumer) => Arc::new(consumer),
            Err(error) => {
                // The queue may be gone, so it is declared again before the next try.
                let none = ConsumerChannel::none(&self.plan.queue, self.handled_so_far(most));
                self.current().replace(Arc::new(none));
                return Err(error);
            }
        };
        self.due.carry(&self.link, &self.channels, &self.plan);
        self.current().replace(consumer.clone());
        self.begun.notify_one();
        Ok(consumer)
    }

    /// Returns what was handled on the channels so far, for the next, whose prefetch is never more than `most`.
    fn handled_so_far(&self, most: usize) -> AckDedup {
        match &*self.current() {
            Some(last) => last.handled(|handled| handled.next(most)),
            None => AckDedup::default().next(most),
        }
    }

    /// Declares everything again after a loss: the broker may be another one, with nothing of ours on it.
    async fn establish_again(&self) -> Result<(), Error> {
        let (link, queue) = (&self.link, &self.plan.queue);
        let gone = find::queue(link, queue).await?.is_none();
        self.plan.establish(link, false).await?;
        self.delay_queues().clear();
        if gone {
            let route = &self.plan.route;
            tracing::error!(
                %route, %queue,
                "the queue was gone and was made again: what it held is lost, unless it is on another broker"
            );
        }
        Ok(())
    }

    /// Returns how long RabbitMQ lets a delivery go unsettled.
    fn consumer_timeout(&self) -> Duration {
        let of_queue = self.plan.consumer_timeout();
        let set = of_queue.or(self.consumer_timeout);
        set.unwrap_or(CONSUMER_TIMEOUT)
    }

    fn delay_queues(&self) -> MutexGuard<'_, Vec<Duration>> {
        let known = self.delay_queues.lock();
        known.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Provider for AmqpProvider {
    type Receipt = Receipt;

    /// Connects, declares exchange, queue, bindings and dead-letter queue, and makes sure that the queue may be consumed.
    async fn open(&self, mode: Open) -> Result<(), Error> {
        if mode == Open::ReadOnly {
            return Ok(());
        }
        self.link.stay_here();
        let create = mode == Open::Create;
        self.plan.establish(&self.link, create).await?;
        find::may_consume(&self.link, &self.plan.queue).await
    }

    async fn check(&self, policy: &Policy) -> Vec<Finding> {
        let (link, channels) = (&self.link, &self.channels);
        crate::check::check((link, channels), &self.plan, policy, &self.capabilities()).await
    }

    async fn receive(
        &self,
        max: usize,
        wait: Duration,
        into: &mut Vec<Delivery<Receipt>>,
    ) -> Result<(), Error> {
        let known = self.epochs.load(Ordering::Relaxed);
        let consumer = self.consumer().await?;
        // After a loss the route is ready again at once, and not with its next message.
        let again = known > 0 && consumer.epoch > known;
        let wait = if again { Duration::ZERO } else { wait };
        let mut now = Instant::now();
        let until = now + wait;
        loop {
            consumer.follow(&self.plan, &self.prefetch, now).await?;
            let look = until.min(now + LOOK);
            if consumer.receive(max, look, into).await? || look == until {
                return Ok(());
            }
            now = Instant::now();
        }
    }

    /// Gets the message from the queue `<queue>.isolated`, on a channel of its own. It takes the third loss in a row for a crash.
    async fn receive_isolated(&self) -> Result<Option<Isolated<Receipt>>, Error> {
        self.get_isolated().await
    }

    async fn settle(&self, batch: &[Settle<Receipt>], answers: &mut Vec<Settled>) {
        self.settle_all(batch, answers).await;
    }

    /// Asks RabbitMQ for nothing: a delivery is ours while its channel lives.
    async fn renew(&self, leases: &[Receipt], _: Duration, answers: &mut Vec<Renewed>) {
        answers.extend(leases.iter().map(|lease| match self.is_live(lease) {
            true => Renewed::Done,
            false => Renewed::Lost,
        }));
    }

    fn set_capacity(&self, messages: usize) {
        self.prefetch.set_capacity(messages);
    }

    async fn notice(&self) -> Notice {
        self.next_notice().await
    }

    fn is_live(&self, lease: &Receipt) -> bool {
        self.alive.load(Ordering::Acquire) == lease.epoch || self.isolation.is_live(lease)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            receive_batch: BATCH,
            pushed: true,
            prefetch: PREFETCH,
            settle_batch: BATCH,
            receivers: 1,
            settlers: 1,
            // A receive that is dropped has taken nothing: what was pushed stays in the buffer.
            receive_grace: Duration::ZERO,
            linger: LINGER,
            lease_ceiling: Some(self.consumer_timeout()),
            max_delay: Some(DueTime::LONGEST),
            defers: true,
            isolates: true,
            max_receives: self.plan.max_receives(),
            max_receives_setting: Some("`x-delivery-limit` among the `arguments` of its options"),
            retries_are_copies: true,
            backoff: Some(Backoff::new(BACKOFF)),
            max_attempts: Some(MAX_ATTEMPTS),
            ..Capabilities::default()
        }
    }

    /// Declares the queue passively. RabbitMQ tells what is ready by that, and nothing else. What waits for a retry is in the delay queues, which the
    /// routes of the service share.
    async fn depth(&self) -> Result<Depth, Error> {
        let queue = &self.plan.queue;
        let found = find::queue(&self.link, queue).await?;
        let missing = || Error::UnknownQueue {
            queue: queue.clone(),
            location: String::new(),
            remedy: "start the service, or run its command `check --create`: both make it"
                .to_owned(),
        };
        let mut depth = Depth::default();
        depth.ready = Some(found.ok_or_else(missing)?.messages.into());
        Ok(depth)
    }

    /// Ends the consumer. Otherwise RabbitMQ would push messages here that nobody takes while the last handlers run.
    async fn pause(&self) {
        if let Some(live) = self.live() {
            live.cancel().await;
        }
    }

    /// Ends the consumer, then closes its channel once RabbitMQ has taken the acks that are on their way.
    async fn close(&self) {
        let current = self.current().take();
        let consumer = async {
            if let Some(consumer) = current {
                consumer.close(self.channels.confirmed_in()).await;
            }
        };
        tokio::join!(consumer, self.close_isolated());
    }
}

impl fmt::Debug for AmqpProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpProvider")
            .field("queue", &self.plan.queue)
            .finish_non_exhaustive()
    }
}
