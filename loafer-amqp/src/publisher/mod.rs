//! The publisher: what is published, tried again, and told.

pub(crate) mod channels;

use std::{fmt, sync::Arc, time::Duration};

use backon::{BackoffBuilder, ExponentialBuilder};
use loafer_core::{Error, MessageId, Outgoing, Publisher, Topic};
use tokio::time::{Instant, sleep};

use self::channels::{Parcel, Sent, Unsent, unsent};
use crate::{
    broker::{Shared, Unroutable},
    error::{ACCESS_REFUSED, NOT_FOUND, PRECONDITION_FAILED, refused},
    names,
    names::routing::{Routing, SHORT},
    outgoing::{Common, published},
    replies,
    topology::{
        delay,
        required::{Declared, Place},
    },
};

/// For how long a message is tried again of which is not known whether it was published.
const AGAIN: Duration = Duration::from_secs(30);

/// The pause before the first of these tries, doubled from one to the next, with as much again by chance.
const PAUSE: Duration = Duration::from_millis(100);

/// The longest of these pauses.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The largest message, in bytes, that RabbitMQ 4 takes unless its `max_message_size` is changed.
const USUAL_LIMIT: usize = 16 << 20;

/// Publishes to RabbitMQ. A topic is the routing key of an event on the exchange `event`; [`Routing`] names another exchange; `amqp:QUEUE` is a queue.
///
/// `Ok` means that RabbitMQ confirmed the message: each queue it was routed to has it on disk. **At least once**: what is not confirmed,
/// since the connection was lost or no answer came, is published again with the same id for 30 seconds, until it is or an error is told. While
/// RabbitMQ is short of memory or disk and takes nothing, publishing waits, for as long as that lasts; a handler's `timeout` ends it.
///
/// What it needs it makes: the exchange of events, those of [`Amqp::declare_exchange`](crate::Amqp::declare_exchange), and the queues in
/// which delayed messages wait; once a connection, so that they come back on a broker that was set up anew.
///
/// # Errors
///
/// What no queue took, unless [`Unroutable::Ignore`] is set; what a queue refused, as one that is full; an exchange that is not there; what
/// AMQP can't carry: names over 255 bytes, headers larger than a frame. None of these is tried again.
///
/// # Cancellation
///
/// Dropped in flight, any of the messages may or may not have been published; the publisher is as good as before.
pub struct AmqpPublisher {
    shared: Result<Arc<Shared>, Error>,
    declared: Declared,
}

/// One way to where a topic leads: at once, or after a delay.
struct Way {
    /// The step of the ladder on which messages wait.
    rung: Option<Duration>,
    exchange: Arc<str>,
    key: Arc<str>,
    /// What is made first.
    places: Vec<Place>,
}

/// A batch on its way to one topic.
struct Publication<'p> {
    shared: &'p Shared,
    declared: &'p Declared,
    topic: &'p Topic,
    /// Whether it is the address of somebody who waits for a reply.
    to_requester: bool,
    routing: Routing,
    batch: &'p [Outgoing],
    ways: Vec<Way>,
    answers: Vec<Option<Result<MessageId, Error>>>,
}

impl AmqpPublisher {
    pub(crate) fn new(shared: Result<Arc<Shared>, Error>) -> Self {
        Self {
            shared,
            declared: Declared::default(),
        }
    }
}

impl Publisher for AmqpPublisher {
    async fn publish(
        &self,
        topic: &Topic,
        batch: &[Outgoing],
        answers: &mut Vec<Result<MessageId, Error>>,
    ) {
        let known = match &self.shared {
            Ok(shared) => Routing::of(topic.as_str())
                .map(|routing| (shared, routing))
                .map_err(|cause| refused("publish", topic.as_str(), cause)),
            Err(error) => Err(Error::Config(error.to_string())),
        };
        match known {
            Ok((shared, routing)) => {
                let publication = Publication {
                    shared,
                    declared: &self.declared,
                    topic,
                    to_requester: replies::is_reply(topic),
                    routing,
                    batch,
                    ways: Vec::new(),
                    answers: batch.iter().map(|_| None).collect(),
                };
                answers.extend(publication.run().await);
            }
            Err(error) => answers.extend(batch.iter().map(|_| Err(repeated(&error)))),
        }
    }

    fn is_ready(&self) -> bool {
        let shared = self.shared.as_ref();
        shared.is_ok_and(|shared| !shared.outlet.link.is_blocked())
    }

    async fn close(&self) {
        if let Ok(shared) = &self.shared {
            shared.outlet.close().await;
            shared.consuming.close().await;
        }
    }
}

impl Way {
    fn new(to: &str, key: &str, rung: Option<Duration>, shared: &Shared) -> Self {
        let made = shared.options.makes(to);
        let mut places: Vec<_> = made
            .map(|of| Place::Exchange(to.to_owned(), of))
            .into_iter()
            .collect();
        let (exchange, key) = match rung {
            None => (to.to_owned(), key.to_owned()),
            Some(rung) if to.is_empty() => {
                places.push(Place::DelayedIn(key.to_owned(), rung));
                (String::new(), names::rung(key, rung))
            }
            Some(rung) => {
                places.push(Place::DelayedTo(to.to_owned(), key.to_owned(), rung));
                (String::new(), names::delayed(to, key, rung))
            }
        };
        Self {
            rung,
            exchange: exchange.into(),
            key: key.into(),
            places,
        }
    }

    /// Whether what was missing is ours to make.
    fn is_ours(&self, missing: &Unsent) -> bool {
        match missing {
            Unsent::Closed(NOT_FOUND, _) => !self.places.is_empty(),
            Unsent::Unroutable => self.rung.is_some(),
            _ => false,
        }
    }
}

impl<'p> Publication<'p> {
    async fn run(mut self) -> Vec<Result<MessageId, Error>> {
        let ways: Vec<Option<usize>> = (0..self.batch.len()).map(|at| self.way(at)).collect();
        let ways_of = std::mem::take(&mut self.ways);
        let (mut left, mut parcels) = self.parcels(&ways, &ways_of);
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .with_jitter()
            .without_max_times()
            .build();
        let mut until = Instant::now() + AGAIN;
        let mut made_again = false;
        loop {
            if self.shared.outlet.link.is_blocked() {
                // The time for trying again is not for waiting.
                self.shared.outlet.link.unblocked().await;
                until = Instant::now() + AGAIN;
            }
            let sent = self.round(&ways_of, &parcels).await;
            let mut kept = Vec::new();
            let mut gone = false;
            for (step, sent) in sent.into_iter().enumerate() {
                let at = left[step];
                let way = ways[at].map(|way| &ways_of[way]);
                match sent {
                    Ok(()) => self.answers[at] = Some(Ok(self.id(at))),
                    Err(Unsent::Unknown(_)) if Instant::now() < until => kept.push(step),
                    Err(unsent) if !made_again && way.is_some_and(|way| way.is_ours(&unsent)) => {
                        gone = true;
                        kept.push(step);
                    }
                    Err(unsent) => self.answers[at] = Some(Err(self.unpublished(at, unsent))),
                }
            }
            if kept.is_empty() {
                return self.told();
            }
            if gone {
                made_again = true;
                let places = ways_of.iter().flat_map(|way| &way.places);
                places.for_each(|place| self.declared.forget(place));
            } else {
                sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
            }
            left = kept.iter().map(|&step| left[step]).collect();
            parcels = kept.iter().map(|&step| parcels[step].clone()).collect();
        }
    }

    /// Makes what is missing, and sends.
    async fn round(&self, ways: &[Way], parcels: &Arc<[Parcel]>) -> Sent {
        if parcels.is_empty() {
            return Vec::new();
        }
        for place in ways.iter().flat_map(|way| &way.places) {
            let link = &self.shared.outlet.link;
            if let Err(error) = self.declared.ensure(link, place).await {
                let unsent = unsent(&error);
                return parcels.iter().map(|_| Err(unsent.clone())).collect();
            }
        }
        self.shared.outlet.send(self.topic.as_str(), parcels).await
    }

    /// What goes out, and its places in the batch; of the rest the answer is set.
    fn parcels(&mut self, ways: &[Option<usize>], of: &[Way]) -> (Vec<usize>, Arc<[Parcel]>) {
        let options = &self.shared.options;
        let headers = options.headers();
        let to_events = self.exchange() == options.exchange();
        let key = self.routing.key.clone();
        let common = Common {
            event: to_events.then_some(&*key),
            app_id: options.app_id.as_deref(),
            headers: &headers,
            frame_max: self.shared.outlet.link.frame_max(),
        };
        let batch = self.batch;
        let mut left = Vec::with_capacity(batch.len());
        let mut parcels = Vec::with_capacity(batch.len());
        for (at, way) in ways.iter().enumerate() {
            let Some(way) = way.map(|way| &of[way]) else {
                continue;
            };
            let message = &batch[at].message;
            match published(message, &common) {
                Ok(properties) => {
                    left.push(at);
                    parcels.push(Parcel {
                        exchange: way.exchange.clone(),
                        routing_key: way.key.clone(),
                        properties,
                        payload: message.payload().clone(),
                        // Where it waits is always there; whoever waits for it may not be.
                        mandatory: options.unroutable == Unroutable::Error
                            || way.rung.is_some()
                            || self.to_requester,
                    });
                }
                Err(cause) => self.answers[at] = Some(Err(self.refused(at, cause))),
            }
        }
        (left, parcels.into())
    }

    /// The way a message takes; none where there is no such way.
    fn way(&mut self, at: usize) -> Option<usize> {
        let delay = self.batch[at].delay.filter(|delay| !delay.is_zero());
        if let Some(delay) = delay.filter(|delay| *delay > delay::LONGEST) {
            let cause = format!(
                "its delay of {delay:?} is longer than {:?}, the longest there is on RabbitMQ",
                delay::LONGEST
            );
            self.answers[at] = Some(Err(self.refused(at, cause)));
            return None;
        }
        let rung = delay.map(delay::rung);
        let known = self.ways.iter().position(|way| way.rung == rung);
        let way = known.unwrap_or_else(|| {
            let way = Way::new(self.exchange(), &self.routing.key, rung, self.shared);
            self.ways.push(way);
            self.ways.len() - 1
        });
        let Way { exchange, key, .. } = &self.ways[way];
        let longest = exchange.len().max(key.len());
        if longest > SHORT {
            let cause = format!(
                "where it would wait for its delay has a name of {longest} bytes, and AMQP carries {SHORT}: shorten the name it is published to"
            );
            self.answers[at] = Some(Err(self.refused(at, cause)));
            return None;
        }
        Some(way)
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
            Unsent::Unroutable if self.to_requester => return replies::gone(self.topic),
            Unsent::Unroutable => "no queue took it: nobody listens. Start a listener first, or set `unroutable = \"ignore\"` under [amqp] in loafer.toml where events may have none".to_owned(),
            Unsent::Refused(cause) => cause,
            Unsent::Closed(NOT_FOUND, _) => format!(
                "the exchange `{0}` does not exist: make it, name another, or have it made: under [amqp.exchanges] in loafer.toml `\"{0}\" = \"direct\"`, or the type it should have",
                self.exchange()
            ),
            Unsent::Closed(ACCESS_REFUSED, cause) => cause,
            Unsent::Closed(PRECONDITION_FAILED, cause) => {
                let size = self.batch[at].message.payload().len();
                let remedy = match size > USUAL_LIMIT {
                    true => "raise `max_message_size` of RabbitMQ, or keep the payload elsewhere and publish where it is",
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

    fn exchange(&self) -> &str {
        match &self.routing.exchange {
            Some(exchange) => exchange,
            None => self.shared.options.exchange(),
        }
    }

    fn told(self) -> Vec<Result<MessageId, Error>> {
        let (topic, answers) = (self.topic, self.answers);
        let none = || Err(refused("publish", topic.as_str(), "no answer"));
        answers
            .into_iter()
            .map(|answer| answer.unwrap_or_else(none))
            .collect()
    }
}

/// An error once more: it holds for the whole batch.
fn repeated(error: &Error) -> Error {
    match error {
        Error::Refused {
            what, queue, cause, ..
        } => refused(what, queue, cause.clone()),
        other => Error::Config(other.to_string()),
    }
}

impl fmt::Debug for AmqpPublisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpPublisher").finish_non_exhaustive()
    }
}
