//! Exchanges, queues and bindings: declared, or verified. Every declaration can be made again: what is there as it should be is left alone.

pub(crate) mod compare;
pub(crate) mod delay;
pub(crate) mod find;
pub(crate) mod required;

use std::{sync::OnceLock, time::Duration};

use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use loafer_core::{Argument, Bindings, DeadLetterTarget, Declare, Error, QueueType, Source};
use tokio::time::timeout;

use self::find::{exchange_exists, find};
use crate::{
    client::{ANSWER, Link, answered, timed},
    error::{self, cause, refused},
    names,
};

/// After how many deliveries RabbitMQ itself gives a message up that nobody settles: one that kills its consumer. RabbitMQ 4's own default.
const DELIVERY_LIMIT: i64 = 20;

/// The longest name, in bytes (AMQP 0-9-1: a short string).
const SHORT: usize = 255;

/// Where a route's queue hangs, every default filled in.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) route: String,
    pub(crate) queue: String,
    /// Empty: bound to nothing.
    pub(crate) exchange: String,
    pub(crate) bindings: Vec<String>,
    pub(crate) queue_type: QueueType,
    arguments: Vec<(String, Argument)>,
    pub(crate) declare: Declare,
    pub(crate) dead_letter: DeadLetterTarget,
    /// The queue of the dead letters, where it is ours.
    pub(crate) dead: Option<String>,
    /// Set once all of it was made.
    pub(crate) made: OnceLock<()>,
}

impl Plan {
    pub(crate) fn new(source: &Source, exchange: &str) -> Self {
        let topology = &source.topology;
        let bindings = topology.binding.clone();
        let bindings = bindings.unwrap_or_else(|| Bindings::from(source.topic.as_str()));
        let own = names::dead(&source.queue);
        let dead = topology.dead_letter.is_none().then(|| own.clone());
        Self {
            route: source.route.clone(),
            queue: source.queue.clone(),
            exchange: topology
                .exchange
                .clone()
                .unwrap_or_else(|| exchange.to_owned()),
            bindings: bindings.keys().to_vec(),
            queue_type: topology.queue_type.unwrap_or_default(),
            arguments: topology.arguments.clone().into_iter().collect(),
            declare: topology.declare.unwrap_or_default(),
            dead_letter: topology
                .dead_letter
                .clone()
                .unwrap_or_else(|| DeadLetterTarget::new("", own)),
            dead,
            made: OnceLock::new(),
        }
    }

    /// Names that AMQP can't carry are told before anything is made.
    pub(crate) fn check_names(&self) -> Result<(), Error> {
        let longest = names::rung(&self.queue, delay::LONGEST);
        let target = &self.dead_letter;
        let names = [
            &longest,
            &self.exchange,
            &target.exchange,
            &target.routing_key,
        ];
        match names
            .into_iter()
            .chain(&self.bindings)
            .find(|name| name.len() > SHORT)
        {
            Some(name) => Err(Error::Config(format!(
                "`{name}` has {} bytes, and AMQP carries names of {SHORT}: shorten queue, exchange or binding",
                name.len()
            ))),
            None => Ok(()),
        }
    }

    /// Makes what is missing, or makes sure that it is there, as `declare` says. `create` makes it where the route itself would not.
    pub(crate) async fn establish(&self, link: &Link, create: bool) -> Result<(), Error> {
        match self.declare {
            Declare::Verify | Declare::Off if create => self.create(link).await,
            Declare::Off => Ok(()),
            Declare::Verify => self.verify(link).await,
            _ => self.create(link).await,
        }
    }

    async fn create(&self, link: &Link) -> Result<(), Error> {
        if !self.exchange.is_empty() {
            declare_exchange(link, &self.exchange, &self.queue).await?;
        }
        let theirs = &self.dead_letter.exchange;
        if !theirs.is_empty() {
            let remedy = format!(
                "make it, or correct `dead_letter` under [routes.{}]",
                self.route
            );
            exchange_exists(link, theirs, &self.queue, &remedy).await?;
        }
        // Before the queue, whose messages may die at once.
        if let Some(dead) = &self.dead {
            self.declare_queue(link, dead, compare::dead_arguments())
                .await?;
        }
        self.declare_queue(link, &self.queue, self.queue_arguments())
            .await?;
        if !self.exchange.is_empty() {
            for key in &self.bindings {
                self.bind(link, key).await?;
            }
        }
        _ = self.made.set(());
        Ok(())
    }

    async fn bind(&self, link: &Link, key: &str) -> Result<(), Error> {
        let what = "binding";
        let channel = link.channel(what, &self.queue).await?;
        let bound = channel.queue_bind(
            self.queue.as_str().into(),
            self.exchange.as_str().into(),
            key.into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        answered(what, &self.queue, bound).await?;
        close(&channel).await;
        Ok(())
    }

    async fn verify(&self, link: &Link) -> Result<(), Error> {
        let exchanges = [&self.exchange, &self.dead_letter.exchange];
        for exchange in exchanges.into_iter().filter(|name| !name.is_empty()) {
            exchange_exists(link, exchange, &self.queue, &self.remedy()).await?;
        }
        for queue in self.dead.iter().chain([&self.queue]) {
            self.queue_exists(link, queue).await?;
        }
        Ok(())
    }

    /// After how many deliveries RabbitMQ itself gives a message up; none where it does not count.
    pub(crate) fn delivery_limit(&self) -> Option<i64> {
        let set = self.arguments.iter().find_map(|(name, value)| match value {
            Argument::Whole(limit) if name == "x-delivery-limit" => Some(*limit),
            _ => None,
        });
        let counts = self.queue_type == QueueType::Quorum;
        counts.then_some(set.unwrap_or(DELIVERY_LIMIT))
    }

    /// How long RabbitMQ lets a delivery of the queue go unsettled, where the queue says so itself.
    pub(crate) fn consumer_timeout(&self) -> Option<Duration> {
        self.arguments.iter().find_map(|(name, value)| match value {
            Argument::Whole(millis) if name == "x-consumer-timeout" => {
                u64::try_from(*millis).ok().map(Duration::from_millis)
            }
            _ => None,
        })
    }

    /// The queue that dead letters end in, as far as can be known.
    pub(crate) fn letters(&self) -> &str {
        let target = &self.dead_letter;
        let named = self.dead.as_ref().or(target.queue.as_ref());
        named.unwrap_or(&target.routing_key)
    }

    /// Makes sure of a queue without making it.
    pub(crate) async fn queue_exists(&self, link: &Link, queue: &str) -> Result<u32, Error> {
        let found = find(link, queue).await?;
        let messages = found.map(|found| found.messages);
        messages.ok_or_else(|| Error::UnknownQueue {
            queue: queue.to_owned(),
            place: String::new(),
            remedy: self.remedy(),
        })
    }

    pub(crate) fn remedy(&self) -> String {
        format!(
            "`declare` of [routes.{}] forbids making it; set it to \"create\", run `check --create`, or make it by hand",
            self.route
        )
    }

    /// Makes the queue in which retries wait for this long. One that others made is used where we may make none.
    pub(crate) async fn declare_rung(&self, link: &Link, delay: Duration) -> Result<(), Error> {
        let name = names::rung(&self.queue, delay);
        let arguments = waiting(delay, "", &self.queue);
        match self.asked_for(link, &name, arguments).await? {
            Err(failed)
                if error::code(&failed) == Some(error::ACCESS_REFUSED)
                    && find(link, &name).await?.is_some() =>
            {
                Ok(())
            }
            answer => self.judged(&name, answer),
        }
    }

    /// What the route's queue is declared with: what is set of it outranks what we would.
    pub(crate) fn queue_arguments(&self) -> FieldTable {
        let DeadLetterTarget {
            exchange,
            routing_key,
            ..
        } = &self.dead_letter;
        let mut arguments = vec![
            ("x-queue-type".to_owned(), self.queue_type.as_str().into()),
            (
                "x-dead-letter-exchange".to_owned(),
                exchange.as_str().into(),
            ),
            (
                "x-dead-letter-routing-key".to_owned(),
                routing_key.as_str().into(),
            ),
        ];
        if self.queue_type == QueueType::Quorum {
            arguments.extend([
                ("x-delivery-limit".to_owned(), DELIVERY_LIMIT.into()),
                ("x-dead-letter-strategy".to_owned(), "at-least-once".into()),
                ("x-overflow".to_owned(), "reject-publish".into()),
            ]);
        }
        for (name, value) in &self.arguments {
            arguments.retain(|(known, _)| known != name);
            arguments.push((name.clone(), value.clone()));
        }
        table(arguments)
    }

    async fn declare_queue(
        &self,
        link: &Link,
        name: &str,
        arguments: FieldTable,
    ) -> Result<(), Error> {
        let answer = self.asked_for(link, name, arguments).await?;
        self.judged(name, answer)
    }

    /// What RabbitMQ says to a declaration.
    async fn asked_for(
        &self,
        link: &Link,
        name: &str,
        arguments: FieldTable,
    ) -> Result<lapin::Result<()>, Error> {
        let what = "declaring";
        let channel = link.channel(what, name).await?;
        let options = QueueDeclareOptions {
            durable: true,
            ..QueueDeclareOptions::default()
        };
        let declared = channel.queue_declare(name.into(), options, arguments);
        let declared = timed(what, name, declared).await?;
        if declared.is_ok() {
            close(&channel).await;
        }
        Ok(declared.map(drop))
    }

    fn judged(&self, name: &str, answer: lapin::Result<()>) -> Result<(), Error> {
        let what = "declaring";
        answer.map_err(|failed| match error::code(&failed) {
            Some(error::PRECONDITION_FAILED) => refused(what, name, self.conflict(&failed)),
            _ => error::unreachable(what, name, failed),
        })
    }

    /// A queue that is there, but not as we would make it.
    fn conflict(&self, failed: &lapin::Error) -> String {
        format!(
            "it is there, but not as this route would make it: {}. Nothing was changed. Under [routes.{}] of loafer.toml set `declare = \"verify\"` to use it as \
             it is, or `queue_type` and `arguments` to what it was made with; or delete it once it is empty",
            cause(failed),
            self.route
        )
    }
}

/// What a queue is made with in which messages wait for so long, then go on to this key on an exchange.
pub(crate) fn waiting(delay: Duration, exchange: &str, routing_key: &str) -> FieldTable {
    table([
        ("x-queue-type", QueueType::Quorum.as_str().into()),
        (
            "x-message-ttl",
            i64::try_from(delay.as_millis()).unwrap_or(i64::MAX).into(),
        ),
        ("x-dead-letter-exchange", exchange.into()),
        ("x-dead-letter-routing-key", routing_key.into()),
        ("x-dead-letter-strategy", "at-least-once".into()),
        ("x-overflow", "reject-publish".into()),
    ])
}

/// Makes the topic exchange that events are published to.
pub(crate) async fn declare_exchange(link: &Link, name: &str, queue: &str) -> Result<(), Error> {
    let what = "declaring the exchange";
    let channel = link.channel(what, queue).await?;
    let options = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    let declared = channel.exchange_declare(
        name.into(),
        ExchangeKind::Topic,
        options,
        FieldTable::default(),
    );
    match timed(what, name, declared).await? {
        Ok(()) => {
            close(&channel).await;
            Ok(())
        }
        Err(failed) if error::code(&failed) == Some(error::PRECONDITION_FAILED) => {
            // An exchange of another kind does as well: whoever made it knows why.
            tracing::debug!(
                exchange = name,
                cause = cause(&failed),
                "the exchange is there in another form: used as it is"
            );
            Ok(())
        }
        Err(failed) => Err(error::unreachable(what, name, failed)),
    }
}

/// Lets a channel go that was opened for one call: a call that is refused takes its channel with it.
pub(crate) async fn close(channel: &Channel) {
    _ = timeout(ANSWER, channel.close(200, "OK".into())).await;
}

pub(crate) fn table<N: Into<String>>(
    arguments: impl IntoIterator<Item = (N, Argument)>,
) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        let value = match value {
            Argument::Truth(truth) => AMQPValue::Boolean(truth),
            Argument::Whole(number) => AMQPValue::LongLongInt(number),
            Argument::Text(text) => AMQPValue::LongString(text.into()),
            _ => continue,
        };
        table.insert(name.into().into(), value);
    }
    table
}
