//! The dead letters of a route, leased by many `basic.get` at once on one channel.
//!
//! | module | what it is |
//! |---|---|
//! | `lease` | dead letters on lease: what one channel holds |
//! | `copy` | confirmed copies in another queue |
//! | `packed` | dead letters that are kept: their properties in JSON |
//! | `native` | what RabbitMQ wrote on a message that it gave up itself |

mod copy;
mod lease;
mod native;
mod packed;

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use lapin::{BasicProperties, options::QueuePurgeOptions};
use loafer_core::{
    Error,
    broker::{
        DeadLetter, DeadLetterCapabilities, DeadLetterInfo, DeadLetterQueue, Delivery, Destination,
        Origin, PackedDeadLetter, Source,
    },
    message::Message,
};

use self::lease::{BATCH, Leased};
use crate::{
    client::{Link, answered, close, config::Config},
    error::refused,
    options::Options,
    publisher::channels::PublishChannels,
    topology::{Plan, compare::Comparison, find},
};

/// The dead letters of one queue.
///
/// | call | AMQP |
/// |---|---|
/// | `lease` | `basic.get`, on a channel that is kept open: if it is lost, RabbitMQ has all of them back |
/// | `give_back` | `basic.nack` with requeue, in the order they came, which keeps their order |
/// | `copy` | `basic.publish` to one queue by the default exchange, confirmed |
/// | `delete` | `basic.ack` |
/// | `purge` | `queue.purge` |
///
/// A quorum queue counts each look as a delivery. The dead-letter queue that Loafer makes has practically no limit; another queue may have one.
pub struct AmqpDeadLetters {
    link: Arc<Link>,
    channels: Arc<PublishChannels>,
    plan: Plan,
    /// The dead-letter queue, set by `open`.
    queue: OnceLock<String>,
    leased: tokio::sync::Mutex<Leased>,
}

/// The receipt of one leased dead letter: its tag, and the epoch of the channel that it came on.
#[derive(Clone)]
pub struct DeadLetterReceipt(Arc<Lease>);

struct Lease {
    epoch: u64,
    tag: u64,
    /// The properties of the dead letter. A copy keeps what a message of Loafer can't carry, for example numbers and tables among the headers.
    properties: BasicProperties,
    /// Whether it came without an id, so that its id was made here.
    unnamed: bool,
}

impl AmqpDeadLetters {
    pub(crate) fn new(
        config: &Config,
        link: Arc<Link>,
        channels: Arc<PublishChannels>,
        (source, options): (&Source, &Options),
    ) -> Self {
        Self {
            link,
            channels,
            plan: Plan::new(source, options, config),
            queue: OnceLock::new(),
            leased: tokio::sync::Mutex::default(),
        }
    }

    /// Returns the dead-letter queue, which must have been opened.
    fn queue(&self) -> Result<&str, Error> {
        let queue = self.queue.get().map(String::as_str);
        queue.ok_or_else(|| {
            Error::Config(format!(
                "route `{}`: its dead-letter queue was not opened",
                self.plan.route
            ))
        })
    }

    /// Returns whether other services may have their dead letters in the same queue.
    fn is_shared(&self) -> bool {
        self.plan.dead.is_none()
    }

    /// Returns the error of a dead-letter queue that does not exist.
    fn missing(&self, queue: &str) -> Error {
        let plan = &self.plan;
        let target = &plan.dead_letter;
        let what_to_do = match (&plan.dead, target.exchange.as_str()) {
            (Some(_), _) => {
                "it is made with the route's queue: run the service once, or `check --create`"
                    .to_owned()
            }
            (None, exchange) if exchange.is_empty() || target.queue.is_some() => format!(
                "make it, or change `dead_letter_queue` and `dead_letter_routing_key` under [routes.{}.options] in loafer.toml",
                plan.route
            ),
            (None, exchange) => format!(
                "dead letters go to the exchange `{exchange}`, and RabbitMQ does not tell which queue it leads to: say which by `dead_letter_queue = \"…\"` \
                 under [routes.{}.options] in loafer.toml",
                plan.route
            ),
        };
        refused(
            "finding dead letters",
            &plan.queue,
            format!("there is no queue `{queue}`: {what_to_do}"),
        )
    }

    /// Returns what to know before looking at the dead letters.
    async fn about(&self, queue: &str, count: u32) -> DeadLetterInfo {
        let mut about = DeadLetterInfo {
            queue: queue.to_owned(),
            source: self.plan.queue.clone(),
            count: Some(count.into()),
            ..DeadLetterInfo::default()
        };
        let limited = "a quorum queue with a delivery limit (RabbitMQ 4: 20, unless set) drops what was delivered more often, and each look counts";
        if self.is_shared() {
            about.remarks.push(format!(
                "`{queue}` was not made by Loafer: {limited}. Dead letters of other services that are in it are left where they are"
            ));
            let target = &self.plan.dead_letter;
            if !target.exchange.is_empty() && target.queue.is_none() {
                about.remarks.push(format!(
                    "`{queue}` is taken for the queue behind the exchange `{}`, by its name: else set `dead_letter_queue` under [routes.{}.options]",
                    target.exchange, self.plan.route
                ));
            }
        } else if let Comparison::Differs(how) = self.plan.compare_dead(&self.link).await {
            about.warnings.push(format!(
                "`{queue}` is not as Loafer makes it: {how}; {limited}"
            ));
        }
        about
    }
}

impl DeadLetterQueue for AmqpDeadLetters {
    type Receipt = DeadLetterReceipt;

    async fn open(&self) -> Result<DeadLetterInfo, Error> {
        let queue = self.plan.dead_letter_queue();
        let found = find::queue(&self.link, queue).await?;
        let found = found.ok_or_else(|| self.missing(queue))?;
        _ = self.queue.set(queue.to_owned());
        Ok(self.about(queue, found.messages).await)
    }

    /// Says that looks count where the queue is not ours: ours has no limit that goes by them.
    fn capabilities(&self) -> DeadLetterCapabilities {
        DeadLetterCapabilities {
            batch: BATCH,
            counts_looks: self.is_shared(),
            ..DeadLetterCapabilities::default()
        }
    }

    async fn lease(
        &self,
        max: usize,
        into: &mut Vec<Delivery<DeadLetterReceipt>>,
    ) -> Result<(), Error> {
        let queue = self.queue()?;
        let mut leased = self.leased.lock().await;
        leased.lease(&self.link, &self.plan, queue, max, into).await
    }

    async fn give_back(&self, leases: &[DeadLetterReceipt]) -> Result<(), Error> {
        let queue = self.queue()?;
        self.leased.lock().await.give_back(queue, leases).await
    }

    fn pack(&self, dead_letter: &Delivery<DeadLetterReceipt>) -> PackedDeadLetter {
        packed::pack(dead_letter)
    }

    async fn copy(
        &self,
        to: &Destination,
        dead_letters: &[PackedDeadLetter],
        answers: &mut Vec<Result<(), Error>>,
    ) {
        answers.extend(self.send_copies(to, dead_letters).await);
    }

    async fn delete(&self, leases: &[DeadLetterReceipt], answers: &mut Vec<Result<(), Error>>) {
        let queue = self.plan.dead_letter_queue();
        let mut leased = self.leased.lock().await;
        answers.extend(leased.delete(queue, leases).await);
    }

    async fn purge_warnings(&self) -> Vec<String> {
        let warning = || {
            format!(
                "`{}` may hold dead letters of other services, too: RabbitMQ does not tell whose they are",
                self.plan.dead_letter_queue()
            )
        };
        self.is_shared().then(warning).into_iter().collect()
    }

    async fn purge(&self) -> Result<(), Error> {
        let (what, queue) = ("purge", self.queue()?);
        let channel = self.link.channel(what, queue).await?;
        let purged = channel.queue_purge(queue.into(), QueuePurgeOptions::default());
        answered(what, queue, purged).await?;
        close(&channel).await;
        Ok(())
    }

    /// Reads the envelope, or the header `x-death` of a message that RabbitMQ gave up itself.
    fn origin(&self, message: &Message) -> Origin {
        let envelope = DeadLetter::of(message).map(|envelope| envelope.queue);
        let by_broker = envelope.is_none() && native::died_in(message).is_some();
        let queue = envelope.or_else(|| native::died_in(message).map(str::to_owned));
        let from_other_queue = match &queue {
            Some(queue) => *queue != self.plan.queue,
            // Nobody else puts anything into the route's own queue.
            None => self.is_shared(),
        };
        Origin {
            queue,
            by_broker,
            from_other_queue,
        }
    }
}

impl fmt::Debug for AmqpDeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpDeadLetters")
            .field("route", &self.plan.route)
            .field("queue", &self.plan.dead_letter_queue())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for DeadLetterReceipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetterReceipt")
            .field("epoch", &self.0.epoch)
            .field("tag", &self.0.tag)
            .finish_non_exhaustive()
    }
}
