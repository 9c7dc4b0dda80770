//! Exchanges, queues and bindings of a route: made, or verified.
//!
//! | module | what it is |
//! |---|---|
//! | `find` | what exists |
//! | `make` | making exchanges and queues |
//! | `arguments` | the arguments of queues |
//! | `compare` | how an existing queue differs from the route's |
//! | `limit` | the delivery limit of the route's queue |
//! | `dead_letter_target` | where dead letters go |
//! | `delay` | the fixed delays of the delay queues |
//! | `retries` | the delay queues of a service |
//! | `levels` | the delay queues of longer publish delays |
//! | `required` | what the publisher makes before it publishes |

mod arguments;
pub(crate) mod compare;
mod dead_letter_target;
pub(crate) mod delay;
pub(crate) mod find;
pub(crate) mod levels;
mod limit;
mod make;
pub(crate) mod required;
pub(crate) mod retries;

use std::{sync::OnceLock, time::Duration};

use lapin::{ExchangeKind, types::FieldTable};
use loafer_core::{
    Error,
    broker::{DelaySteps, Source},
    policy::Names,
};

use self::{dead_letter_target::DeadLetterTarget, make::DECLARING_EXCHANGE};
use crate::{
    client::{Link, config::Config},
    error::{self, ACCESS_REFUSED, PRECONDITION_FAILED, cause, refused},
    names::{self, MAX_BYTES},
    options::{Argument, Declare, Options, QueueType},
};

/// The queue of a route and what it is connected to, with every default filled in.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) route: String,
    pub(crate) queue: String,
    /// The exchange that the queue is bound to. Empty means that it is bound to none.
    pub(crate) exchange: String,
    pub(crate) bindings: Vec<String>,
    pub(crate) queue_type: QueueType,
    /// Arguments that the route sets. They outrank our own.
    arguments: Vec<(String, Argument)>,
    pub(crate) declare: Declare,
    /// The name that the delay queues of the service begin with, and that of the exchange behind them.
    pub(crate) delays: String,
    /// The delays of its delay queues.
    pub(crate) steps: DelaySteps,
    pub(crate) dead_letter: DeadLetterTarget,
    /// The dead-letter queue, if it is the route's own.
    pub(crate) dead: Option<String>,
    /// Set once all of it was made.
    pub(crate) made: OnceLock<()>,
    /// The delivery limit that the queue was found with, if it is another one than the route's. `Some(None)` means that it has none.
    other_limit: OnceLock<Option<i64>>,
}

impl Plan {
    /// Fills in the defaults.
    pub(crate) fn new(source: &Source, options: &Options, config: &Config) -> Self {
        let (dead_letter, dead) = DeadLetterTarget::of(&source.queue, options);
        let keys = options.binding.as_ref().map(Names::as_slice);
        let exchange = options.exchange.as_deref().unwrap_or(config.exchange());
        Self {
            route: source.route.clone(),
            queue: source.queue.clone(),
            exchange: exchange.to_owned(),
            bindings: keys.unwrap_or(&source.topics).to_vec(),
            queue_type: options.queue_type.unwrap_or_default(),
            arguments: options.arguments.clone().into_iter().collect(),
            declare: options.declare.unwrap_or_default(),
            delays: names::delays(source.consumer.as_ref().unwrap_or(&source.queue)),
            steps: delay::steps(config),
            dead_letter,
            dead,
            made: OnceLock::new(),
            other_limit: OnceLock::new(),
        }
    }

    /// Refuses names that AMQP can't carry, before anything is made.
    pub(crate) fn check_names(&self) -> Result<(), Error> {
        let isolated = names::isolated(&self.queue);
        let delays = names::retry_queue(&self.delays, self.steps.longest());
        let target = &self.dead_letter;
        let names = [
            &isolated,
            &delays,
            &self.exchange,
            &target.exchange,
            &target.routing_key,
        ];
        match names
            .into_iter()
            .chain(&self.bindings)
            .find(|name| name.len() > MAX_BYTES)
        {
            Some(name) => Err(Error::Config(format!(
                "`{name}` has {} bytes, and AMQP carries names of {MAX_BYTES}: shorten queue, exchange or binding",
                name.len()
            ))),
            None => Ok(()),
        }
    }

    /// Makes what is missing, or verifies that it exists, as `declare` says. With `create` it makes all of it whatever `declare` says.
    pub(crate) async fn establish(&self, link: &Link, create: bool) -> Result<(), Error> {
        match self.declare {
            _ if create => self.create(link).await,
            Declare::Create => self.create(link).await,
            Declare::Verify => self.verify(link).await,
            Declare::Off => Ok(()),
        }
    }

    async fn create(&self, link: &Link) -> Result<(), Error> {
        if !self.exchange.is_empty() {
            self.declare_exchange(link).await?;
        }
        let theirs = &self.dead_letter.exchange;
        if !theirs.is_empty() {
            let remedy = format!(
                "make it, or correct `dead_letter_exchange` under [routes.{}.options]",
                self.route
            );
            self.exchange_exists(link, theirs, &remedy).await?;
        }
        // Before the queue, whose messages may be dead-lettered at once.
        if let Some(dead) = &self.dead {
            let answer = make::queue(
                link,
                DECLARING,
                dead,
                arguments::unlimited(QueueType::Quorum),
            )
            .await?;
            self.judged(dead, answer)?;
        }
        let known = self.other_limit.get().is_some();
        let answer = self.declare_own(link, DECLARING).await?;
        self.judged(&self.queue, answer)?;
        if let Some(about) = self.about_limit().filter(|_| !known) {
            tracing::warn!(route = self.route, "{about}");
        }
        if !self.exchange.is_empty() {
            for key in &self.bindings {
                let bound = make::bind(link, &self.queue, &self.exchange, key).await?;
                bound.map_err(|failed| error::unreachable(make::BINDING, &self.queue, failed))?;
            }
        }
        self.declare_way_back(link).await?;
        _ = self.made.set(());
        Ok(())
    }

    async fn verify(&self, link: &Link) -> Result<(), Error> {
        let exchanges = [&self.exchange, &self.dead_letter.exchange];
        for exchange in exchanges.into_iter().filter(|name| !name.is_empty()) {
            self.exchange_exists(link, exchange, &self.remedy()).await?;
        }
        for queue in self.dead.iter().chain([&self.queue]) {
            if find::queue(link, queue).await?.is_none() {
                return Err(self.unknown(queue));
            }
        }
        Ok(())
    }

    /// Makes the exchange that the queue is bound to. One of another form is used as it is: whoever made it had a reason.
    async fn declare_exchange(&self, link: &Link) -> Result<(), Error> {
        let name = &self.exchange;
        let answer = make::exchange(
            link,
            name,
            ExchangeKind::Topic,
            FieldTable::default(),
            &self.queue,
        )
        .await?;
        match answer {
            Ok(()) => Ok(()),
            Err(failed) if error::code(&failed) == Some(PRECONDITION_FAILED) => {
                let cause = cause(&failed);
                tracing::debug!(
                    exchange = name,
                    cause,
                    "the exchange exists in another form: used as it is"
                );
                Ok(())
            }
            Err(failed) => Err(error::unreachable(DECLARING_EXCHANGE, name, failed)),
        }
    }

    /// Fails if an exchange does not exist. `remedy` says what to do then.
    pub(crate) async fn exchange_exists(
        &self,
        link: &Link,
        name: &str,
        remedy: &str,
    ) -> Result<(), Error> {
        match find::exchange(link, name, &self.queue).await? {
            true => Ok(()),
            false => Err(refused(
                "opening",
                &self.queue,
                format!("the exchange `{name}` does not exist: {remedy}"),
            )),
        }
    }

    /// Makes the queue of isolated messages. One that exists in another form is used as it is, and so is one that we may not make.
    pub(crate) async fn declare_isolated(&self, link: &Link) -> Result<(), Error> {
        let name = names::isolated(&self.queue);
        let arguments = arguments::unlimited(self.queue_type);
        match make::queue(link, DECLARING, &name, arguments).await? {
            Err(failed) if error::code(&failed) == Some(PRECONDITION_FAILED) => Ok(()),
            Err(failed)
                if error::code(&failed) == Some(ACCESS_REFUSED)
                    && find::queue(link, &name).await?.is_some() =>
            {
                Ok(())
            }
            answer => self.judged(&name, answer),
        }
    }

    fn judged(&self, name: &str, answer: lapin::Result<()>) -> Result<(), Error> {
        answer.map_err(|failed| match error::code(&failed) {
            Some(PRECONDITION_FAILED) => refused(DECLARING, name, self.conflict(&failed)),
            _ => error::unreachable(DECLARING, name, failed),
        })
    }

    /// Returns what to do about a queue that exists in another form.
    fn conflict(&self, failed: &lapin::Error) -> String {
        format!(
            "it is there, but not as this route would make it: {}. Nothing was changed. Under [routes.{}.options] of loafer.toml set `declare = \"verify\"` to use it as \
             it is, or `queue_type` and `arguments` to what it was made with; or delete it once it is empty",
            cause(failed),
            self.route
        )
    }

    /// Returns whether the queue counts deliveries. Classic queues only say that a message was delivered before.
    pub(crate) fn counts(&self) -> bool {
        self.queue_type == QueueType::Quorum
    }

    /// Returns how long RabbitMQ lets a delivery of this queue go unsettled. `None` means that the queue does not say.
    pub(crate) fn consumer_timeout(&self) -> Option<Duration> {
        let millis = self.whole_number("x-consumer-timeout")?;
        u64::try_from(millis).ok().map(Duration::from_millis)
    }

    /// Returns an argument that the route sets to a whole number.
    fn whole_number(&self, argument: &str) -> Option<i64> {
        self.arguments.iter().find_map(|(name, value)| match value {
            Argument::Int(number) if name == argument => Some(*number),
            Argument::Int(_) | Argument::Bool(_) | Argument::String(_) => None,
        })
    }

    /// Returns the queue that dead letters end in, as far as can be known.
    pub(crate) fn dead_letter_queue(&self) -> &str {
        let target = &self.dead_letter;
        target.queue.as_ref().unwrap_or(&target.routing_key)
    }

    /// Returns the error of a queue that does not exist and may not be made.
    pub(crate) fn unknown(&self, queue: &str) -> Error {
        Error::UnknownQueue {
            queue: queue.to_owned(),
            location: String::new(),
            remedy: self.remedy(),
        }
    }

    /// Returns what to do about something that is missing and may not be made.
    pub(crate) fn remedy(&self) -> String {
        format!(
            "`declare` of [routes.{}.options] forbids making it; set it to \"create\", run `check --create`, or make it by hand",
            self.route
        )
    }
}

/// What declaring a queue is called in errors.
const DECLARING: &str = "declaring";
