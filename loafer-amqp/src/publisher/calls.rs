//! One publish call: rounds of publishing until each message has an answer.

use std::{fmt, sync::Arc, time::Duration};

use loafer_core::{
    Error,
    broker::{Pauses, Rounds, Topic},
    message::{MessageId, Outgoing},
};
use tokio::time::{Instant, sleep};

use super::{
    capabilities,
    channels::{Answers, PublishChannels, Unsent, unsent},
    target::Target,
};
use crate::{
    client::config::{Config, Unroutable},
    error::{ACCESS_REFUSED, NOT_FOUND, PRECONDITION_FAILED, refused},
    names::{MAX_BYTES, headers::EXPIRATION, replies, routing::Routing},
    outgoing::{Common, Entry, published},
    topology::{delay, required::Made},
};

/// How long a message is published again of which nobody knows whether it was published.
const AGAIN: Duration = Duration::from_secs(30);

/// The pauses between the rounds.
const PAUSES: Pauses = Pauses::new(Duration::from_millis(100));

/// The largest message in bytes that RabbitMQ 4 takes, unless its `max_message_size` is changed.
const USUAL_LIMIT: usize = 16 << 20;

/// A batch on its way to one topic.
pub(super) struct PublishCall<'p> {
    config: &'p Config,
    channels: &'p PublishChannels,
    made: &'p Made,
    topic: &'p Topic,
    /// Whether the topic is the address of a reply.
    is_reply: bool,
    routing: Routing,
    batch: &'p [Outgoing],
    /// One for each delay in the batch.
    targets: Vec<Target>,
    rounds: Rounds<'p>,
}

/// The messages of a round.
struct Ready {
    /// Their indexes in the batch.
    indexes: Vec<usize>,
    entries: Arc<[Entry]>,
}

impl Ready {
    /// Keeps these messages of it. Their indexes are sorted.
    fn keep(&mut self, indexes: &[usize]) {
        if self.indexes == indexes {
            return;
        }
        let known = self.indexes.iter().zip(self.entries.iter());
        let kept = known.filter(|(index, _)| indexes.binary_search(index).is_ok());
        self.entries = kept.map(|(_, entry)| entry.clone()).collect();
        self.indexes = indexes.to_vec();
    }
}

impl<'p> PublishCall<'p> {
    pub(super) fn new(
        (config, channels, made): (&'p Config, &'p PublishChannels, &'p Made),
        topic: &'p Topic,
        routing: Routing,
        batch: &'p [Outgoing],
    ) -> Self {
        Self {
            config,
            channels,
            made,
            topic,
            is_reply: replies::is_reply(topic),
            routing,
            batch,
            targets: Vec::new(),
            rounds: Rounds::new("publish", topic.as_str(), batch.len(), PAUSES),
        }
    }

    /// Publishes the batch, and returns one answer a message.
    pub(super) async fn run(mut self) -> Vec<Result<MessageId, Error>> {
        let target_of: Vec<Option<usize>> =
            (0..self.batch.len()).map(|at| self.target(at)).collect();
        let targets = std::mem::take(&mut self.targets);
        let mut ready = self.entries(&target_of, &targets);
        let mut until = Instant::now() + AGAIN;
        let mut made_again = false;
        while let Some(round) = self.rounds.next_round() {
            ready.keep(&round);
            if self.channels.link.is_blocked() {
                // Waiting here does not use up the time for trying again.
                self.channels.link.unblocked().await;
                until = Instant::now() + AGAIN;
            }
            let sent = self.publish(&targets, &ready.entries).await;
            let mut gone = false;
            for (at, sent) in round.into_iter().zip(sent) {
                let unsent = match sent {
                    Ok(()) => {
                        self.rounds.done(at, self.id(at));
                        continue;
                    }
                    Err(unsent) => unsent,
                };
                let target = target_of[at].map(|target| &targets[target]);
                let ours = !made_again && target.is_some_and(|target| target.is_ours(&unsent));
                let unknown = matches!(unsent, Unsent::Unknown(_)) && Instant::now() < until;
                let error = self.unpublished(at, unsent);
                match ours || unknown {
                    true => self.rounds.again(at, error),
                    false => self.rounds.failed(at, error),
                }
                gone |= ours;
            }
            let pause = self.rounds.pause();
            if gone {
                made_again = true;
                let required = targets.iter().flat_map(|target| &target.required);
                required.for_each(|required| self.made.forget(required));
            } else if let Some(pause) = pause {
                sleep(pause).await;
            }
        }
        self.rounds.into_answers()
    }

    /// Makes what is missing, and publishes.
    async fn publish(&self, targets: &[Target], entries: &Arc<[Entry]>) -> Answers {
        for required in targets.iter().flat_map(|target| &target.required) {
            if let Err(error) = self.made.ensure(&self.channels.link, required).await {
                let unsent = unsent(&error);
                return entries.iter().map(|_| Err(unsent.clone())).collect();
            }
        }
        self.channels.publish(self.topic.as_str(), entries).await
    }

    /// Returns what to publish. The rest fails.
    fn entries(&mut self, target_of: &[Option<usize>], targets: &[Target]) -> Ready {
        let config = self.config;
        let headers = config.headers();
        let to_events = self.exchange() == config.exchange();
        let key = self.routing.key.clone();
        let common = Common {
            event: to_events.then_some(&*key),
            app_id: config.app_id.as_deref(),
            headers: &headers,
            frame_max: self.channels.link.frame_max(),
        };
        let batch = self.batch;
        let mut indexes = Vec::with_capacity(batch.len());
        let mut entries = Vec::with_capacity(batch.len());
        for (at, target) in target_of.iter().enumerate() {
            let Some(target) = target.map(|target| &targets[target]) else {
                continue;
            };
            match published(&batch[at], &common) {
                Ok(properties) => {
                    indexes.push(at);
                    entries.push(Entry {
                        exchange: target.exchange.clone(),
                        routing_key: target.key.clone(),
                        properties,
                        payload: batch[at].message.payload().clone(),
                        // A delay queue must exist even if the message may have no listener. So must the queue of a reply.
                        mandatory: config.unroutable == Unroutable::Error
                            || target.delay.is_some()
                            || self.is_reply,
                    });
                }
                Err(cause) => self.rounds.failed(at, self.refused(at, cause)),
            }
        }
        Ready {
            indexes,
            entries: entries.into(),
        }
    }

    /// Returns the index of a message's target. `None` means that there is none, and that the message has failed.
    fn target(&mut self, at: usize) -> Option<usize> {
        if let Some(cause) = capabilities().refusal(&self.batch[at]) {
            self.rounds.failed(at, self.refused(at, cause));
            return None;
        }
        let delay = self.batch[at].delay.filter(|delay| !delay.is_zero());
        let expires = self.batch[at].message.headers().get(EXPIRATION).is_some();
        if delay.is_some() && expires {
            let cause = format!(
                "it has a delay, and the header `{EXPIRATION}`, which would end the delay: leave one of them out"
            );
            self.rounds.failed(at, self.refused(at, cause));
            return None;
        }
        let steps = delay::steps(self.config);
        let delay = delay.map(|delay| match delay > steps.longest() {
            true => delay,
            false => steps.step(delay).wait,
        });
        let known = self.targets.iter().position(|target| target.delay == delay);
        let index = known.unwrap_or_else(|| {
            let target = Target::new(self.exchange(), &self.routing.key, delay, self.config);
            self.targets.push(target);
            self.targets.len() - 1
        });
        let Target { exchange, key, .. } = &self.targets[index];
        let longest = exchange.len().max(key.len());
        if longest > MAX_BYTES {
            let cause = format!(
                "where it would wait for its delay has a name of {longest} bytes, and AMQP carries {MAX_BYTES}: shorten the name it is published to"
            );
            self.rounds.failed(at, self.refused(at, cause));
            return None;
        }
        Some(index)
    }

    fn id(&self, at: usize) -> MessageId {
        self.batch[at].message.id().clone()
    }

    fn refused(&self, at: usize, cause: impl fmt::Display) -> Error {
        let id = self.batch[at].message.id();
        refused(
            "publish",
            self.topic.as_str(),
            format!("message {id}: {cause}"),
        )
    }

    #[cold]
    fn unpublished(&self, at: usize, unsent: Unsent) -> Error {
        let cause = match unsent {
            Unsent::Unroutable if self.is_reply => return replies::gone(self.topic),
            Unsent::Unroutable => format!(
                "no queue took it: nobody listens. Start a listener first, or set `unroutable = \"ignore\"` under [{}] in loafer.toml where events may have none",
                self.section()
            ),
            Unsent::Refused(cause) => cause,
            Unsent::Closed(NOT_FOUND, _) => format!(
                "the exchange `{0}` does not exist: make it, name another, or have it made: under [{1}.exchanges] in loafer.toml `\"{0}\" = \"direct\"`, or the type it should have",
                self.exchange(),
                self.section()
            ),
            Unsent::Closed(ACCESS_REFUSED, cause) => cause,
            Unsent::Closed(PRECONDITION_FAILED, cause) => {
                let size = self.batch[at].message.payload().len();
                let remedy = match size > USUAL_LIMIT {
                    true => {
                        "raise `max_message_size` of RabbitMQ, or keep the payload elsewhere and publish where it is"
                    }
                    false => "mend what it names",
                };
                format!("{cause}: {remedy}")
            }
            Unsent::Closed(_, cause) | Unsent::Unknown(cause) => {
                return Error::Unreachable {
                    what: "publish",
                    queue: self.topic.to_string(),
                    cause: format!(
                        "message {}: {cause}; it may or may not have been published",
                        self.id(at)
                    ),
                    source: None,
                };
            }
        };
        self.refused(at, cause)
    }

    /// Returns the section of `loafer.toml` for the broker instance.
    fn section(&self) -> String {
        self.config.identity.section()
    }

    fn exchange(&self) -> &str {
        match &self.routing.exchange {
            Some(exchange) => exchange,
            None => self.config.exchange(),
        }
    }
}
