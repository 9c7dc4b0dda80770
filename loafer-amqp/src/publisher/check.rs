//! What the command `check` says about topics: whether the exchange or the queue exists, and whether we may publish there.

use bytes::Bytes;
use futures_util::future::join_all;
use lapin::BasicProperties;
use loafer_core::{
    Error,
    broker::{Finding, Open, Source, Topic},
};

use super::channels::{PublishChannels, Unsent};
use crate::{
    Options,
    client::config::{Config, ExchangeType},
    error::ACCESS_REFUSED,
    names::routing::Routing,
    outgoing::Entry,
    topology::{Plan, find, required::Required},
};

/// What looking at topics needs.
pub(super) struct Check<'c> {
    pub(super) config: &'c Config,
    pub(super) channels: &'c PublishChannels,
    pub(super) mode: Open,
}

impl Check<'_> {
    /// Looks at these topics, and makes what is missing if it may. Returns a finding for each, in order.
    pub(super) async fn all(&self, topics: &[Topic]) -> Vec<Finding> {
        join_all(topics.iter().map(|topic| self.topic(topic))).await
    }

    async fn topic(&self, topic: &Topic) -> Finding {
        let problem = |cause: &str| Finding::problem(format!("topic `{topic}`: {cause}"));
        let routing = match Routing::of(topic.as_str()) {
            Ok(routing) => routing,
            Err(cause) => return problem(cause),
        };
        let exchange = routing.exchange.as_deref();
        let exchange = exchange.unwrap_or(self.config.exchange());
        let found = match exchange {
            "" => self.queue(&routing.key).await,
            exchange => self.exchange(exchange).await,
        };
        let found = match found {
            Ok(found) => found,
            Err(error) => return problem(&error.to_string()),
        };
        match found {
            Found::Missing(finding) => finding,
            Found::There(what) => match self.may_publish(topic, exchange, &routing.key).await {
                Ok(()) => {
                    Finding::good(format!("topic `{topic}`: {what}, and may be published to"))
                }
                Err(cause) => problem(&format!("{what}, and can't be published to: {cause}")),
            },
        }
    }

    async fn exchange(&self, name: &str) -> Result<Found, Error> {
        let link = &self.channels.link;
        if find::exchange(link, name, name).await? {
            return Ok(Found::There(format!("the exchange `{name}` exists")));
        }
        let ours = self.config.makes(name);
        if self.mode == Open::Create {
            let of = ours.unwrap_or(ExchangeType::Topic);
            Required::Exchange(name.to_owned(), of).make(link).await?;
            if find::exchange(link, name, name).await? {
                return Ok(Found::There(format!("made the exchange `{name}`")));
            }
        }
        let section = self.config.identity.section();
        Ok(Found::Missing(match ours {
            Some(_) => Finding::warning(format!(
                "the exchange `{name}` does not exist yet: the first message makes it, and `check --create` makes it now"
            )),
            None => Finding::problem(format!(
                "the exchange `{name}` does not exist: run `check --create`, which makes a topic exchange; or have the publisher make another: under \
                 [{section}.exchanges] in loafer.toml `\"{name}\" = \"direct\"`, or the type that it should have"
            )),
        }))
    }

    async fn queue(&self, name: &str) -> Result<Found, Error> {
        let link = &self.channels.link;
        if find::queue_exists(link, name).await? {
            return Ok(Found::There(format!("the queue `{name}` exists")));
        }
        if self.mode != Open::Create {
            return Ok(Found::Missing(Finding::problem(format!(
                "the queue `{name}` does not exist: start the service whose route consumes it, or run `check --create`"
            ))));
        }
        // As a route of its own would make it, and bound to nothing.
        let source = Source::new(name, name);
        let plan = Plan::new(&source, &Options::new().exchange(""), self.config);
        plan.check_names()?;
        plan.establish(link, true).await?;
        Ok(Found::There(format!(
            "made the queue `{name}` with its dead letters"
        )))
    }

    /// Asks whether we may publish, without publishing: it sends a message that can't be, and RabbitMQ refuses that only after it has looked at the
    /// rights.
    async fn may_publish(&self, topic: &Topic, exchange: &str, key: &str) -> Result<(), String> {
        let invalid = BasicProperties::default().with_expiration("only asking".into());
        let probe = Entry {
            exchange: exchange.into(),
            routing_key: key.into(),
            properties: invalid,
            payload: Bytes::new(),
            mandatory: true,
        };
        let answers = self.channels.publish(topic.as_str(), &[probe].into()).await;
        match answers.into_iter().next() {
            Some(Err(Unsent::Closed(ACCESS_REFUSED, cause) | Unsent::Unknown(cause))) => Err(cause),
            _ => Ok(()),
        }
    }
}

/// What was found of a topic.
enum Found {
    /// It exists, or was made: the beginning of a sentence.
    There(String),
    Missing(Finding),
}
