//! A dead-letter queue on RabbitMQ: leased by `basic.get` on one channel, which is what holds the leases.

mod copy;
mod lease;
mod native;

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use lapin::{BasicProperties, options::QueuePurgeOptions};
use loafer_core::{
    AboutLetters, DeadLetter, DeadLetterQueue, Delivery, Destination, Error, Message, Origin,
    Source,
};

use self::lease::Held;
use crate::{
    broker::Shared,
    client::answered,
    error::refused,
    topology::{Plan, close, compare::Likeness, find},
};

/// The dead letters of one queue.
///
/// | call | AMQP |
/// |---|---|
/// | `lease` | `basic.get`, on a channel that is kept open: its end gives everything back |
/// | `give_back` | `basic.nack` with requeue, in the order they came, which keeps their order |
/// | `send` | `basic.publish` to one queue by the default exchange, confirmed; then `basic.ack` |
/// | `purge` | `queue.purge` |
///
/// A quorum queue counts each look as a delivery. The queue that Loafer makes for dead letters has no limit to speak of; another one may.
pub struct AmqpDeadLetters {
    shared: Arc<Shared>,
    plan: Plan,
    /// The queue they are in, set by `open`.
    letters: OnceLock<String>,
    held: tokio::sync::Mutex<Held>,
}

/// What gives back or deletes one leased dead letter: its tag, and the channel it came on.
#[derive(Clone)]
pub struct LetterReceipt(Arc<Lease>);

struct Lease {
    epoch: u64,
    tag: u64,
    /// As the letter came: a copy keeps what a message of Loafer can't carry, as numbers and tables among its headers.
    properties: BasicProperties,
    /// Whether its id was made here: it came without one.
    unnamed: bool,
}

impl AmqpDeadLetters {
    pub(crate) fn new(shared: Arc<Shared>, source: &Source) -> Self {
        let plan = Plan::new(source, shared.options.exchange());
        Self {
            shared,
            plan,
            letters: OnceLock::new(),
            held: tokio::sync::Mutex::default(),
        }
    }

    fn letters(&self) -> Result<&str, Error> {
        let letters = self.letters.get().map(String::as_str);
        letters.ok_or_else(|| {
            Error::Config(format!(
                "route `{}`: its dead-letter queue was not opened",
                self.plan.route
            ))
        })
    }

    /// Whether other services may have their dead letters there.
    fn is_shared(&self) -> bool {
        self.plan.dead.is_none()
    }

    /// Their queue is not there.
    fn missing(&self, letters: &str) -> Error {
        let plan = &self.plan;
        let target = &plan.dead_letter;
        let what_to_do = match (&plan.dead, target.exchange.as_str()) {
            (Some(_), _) => {
                "it is made with the route's queue: run the service once, or `check --create`"
                    .to_owned()
            }
            (None, exchange) if exchange.is_empty() || target.queue.is_some() => format!(
                "make it, or change `dead_letter` under [routes.{}] in loafer.toml",
                plan.route
            ),
            (None, exchange) => format!(
                "dead letters go to the exchange `{exchange}`, and RabbitMQ does not tell which queue hears it: say which, as `dead_letter = {{ exchange = \
                 \"{exchange}\", routing_key = \"{}\", queue = \"…\" }}` under [routes.{}] in loafer.toml",
                target.routing_key, plan.route
            ),
        };
        refused(
            "finding dead letters",
            &plan.queue,
            format!("there is no queue `{letters}`: {what_to_do}"),
        )
    }

    /// What is to be known before letters are looked at.
    async fn about(&self, letters: &str, count: u32) -> AboutLetters {
        let mut about = AboutLetters {
            queue: letters.to_owned(),
            count: Some(count.into()),
            ..AboutLetters::default()
        };
        let limited = "each look counts as a delivery, and a quorum queue with a delivery limit (RabbitMQ 4: 20, unless set) drops what was delivered more often";
        if self.is_shared() {
            about.remarks.push(format!(
                "`{letters}` was not made by Loafer: {limited}. Letters of other services that are in it are left where they are"
            ));
            let target = &self.plan.dead_letter;
            if !target.exchange.is_empty() && target.queue.is_none() {
                about.remarks.push(format!(
                    "`{letters}` is taken for the queue behind the exchange `{}`, by its name: else say `queue` in `dead_letter` under [routes.{}]",
                    target.exchange, self.plan.route
                ));
            }
        } else if let Likeness::Differs(how) = self.plan.dead_likeness(&self.shared.consuming).await
        {
            about.warnings.push(format!(
                "`{letters}` is not as Loafer makes it: {how}; {limited}"
            ));
        }
        about
    }
}

impl DeadLetterQueue for AmqpDeadLetters {
    type Receipt = LetterReceipt;

    async fn open(&self) -> Result<AboutLetters, Error> {
        let letters = self.plan.letters();
        let found = find::find(&self.shared.consuming, letters).await?;
        let found = found.ok_or_else(|| self.missing(letters))?;
        _ = self.letters.set(letters.to_owned());
        Ok(self.about(letters, found.messages).await)
    }

    async fn lease(
        &self,
        max: usize,
        into: &mut Vec<Delivery<LetterReceipt>>,
    ) -> Result<(), Error> {
        let letters = self.letters()?;
        let mut held = self.held.lock().await;
        held.lease(&self.shared.consuming, &self.plan, letters, max, into)
            .await
    }

    async fn give_back(&self, leases: &[LetterReceipt]) -> Result<(), Error> {
        let letters = self.letters()?;
        self.held.lock().await.give_back(letters, leases).await
    }

    async fn send(
        &self,
        to: &Destination,
        letters: &[Delivery<LetterReceipt>],
        answers: &mut Vec<Result<(), Error>>,
    ) {
        self.send_copies(to, letters, answers).await;
    }

    async fn purge_warnings(&self) -> Vec<String> {
        let warning = || {
            format!(
                "`{}` may hold dead letters of other services, too: RabbitMQ does not tell whose they are",
                self.plan.letters()
            )
        };
        self.is_shared().then(warning).into_iter().collect()
    }

    async fn purge(&self) -> Result<(), Error> {
        let (what, letters) = ("purge", self.letters()?);
        let channel = self.shared.consuming.channel(what, letters).await?;
        let purged = channel.queue_purge(letters.into(), QueuePurgeOptions::default());
        answered(what, letters, purged).await?;
        close(&channel).await;
        Ok(())
    }

    /// By the envelope; of what RabbitMQ gave up itself, by its header `x-death`.
    fn origin(&self, message: &Message) -> Origin {
        let envelope = DeadLetter::of(message).map(|envelope| envelope.queue);
        let by_broker = envelope.is_none() && native::died_in(message).is_some();
        let queue = envelope.or_else(|| native::died_in(message).map(str::to_owned));
        let elsewhere = match &queue {
            Some(queue) => *queue != self.plan.queue,
            // In a queue of its own nobody else puts anything.
            None => self.is_shared(),
        };
        Origin {
            queue,
            by_broker,
            elsewhere,
        }
    }
}

impl fmt::Debug for AmqpDeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpDeadLetters")
            .field("route", &self.plan.route)
            .field("queue", &self.plan.letters())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for LetterReceipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LetterReceipt")
            .field("epoch", &self.0.epoch)
            .field("tag", &self.0.tag)
            .finish_non_exhaustive()
    }
}
