//! The way out of a handler: publishing, requests and replies.

pub(crate) mod erased;
mod propagation;
mod publishing;
pub(crate) mod replier;
mod request;
pub(crate) mod requests;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, OnceLock},
};

use futures_util::future::join_all;

use self::{erased::DynPublisher, replier::Repliers, requests::Requests};
pub use self::{publishing::Publishing, replier::Replier};
use loafer_core::event::{Event, Publishable, encoded};
use loafer_core::{
    Error,
    broker::{Publisher, Topic},
    extract::{Context, FromApp, FromContext, Missing, OptionalFromContext, Rejection, Resources},
    message::{Message, MessageId, Outgoing},
};

/// Publishes on the broker of the service: an extractor.
///
/// ```
/// # use loafer::{Bus, Error};
/// # use serde_json::{Value, json};
/// async fn order_placed(order: Value, bus: Bus) -> Result<bool, Error> {
///     bus.publish_to("invoice-wanted", &json!({ "order": order["id"] })).await?;
///     Ok(true)
/// }
/// ```
///
/// What a handler publishes carries on the headers `traceparent`, `tracestate` and `correlation-id` (else the id of the message, which
/// then is the first of its conversation) of the message being handled, and its id as `causation-id`. What the handler sets itself
/// stays; where the broker has no room for them they are left out.
#[derive(Clone, Default)]
pub struct Bus {
    line: Arc<Line>,
    /// What is being handled.
    handled: Option<Message>,
}

/// What all buses of one app have in common.
#[derive(Default)]
struct Line {
    /// Set once the routes are open: handlers are made ready before.
    publisher: OnceLock<Arc<dyn DynPublisher>>,
    /// What the configuration says of topics, by their names or by how the environment writes these.
    ways: OnceLock<HashMap<String, Way>>,
    /// The queues of the program's brokers, by the names of these: what stands before the `:` of `legacy:orders`.
    queues: OnceLock<HashMap<String, Queues>>,
    /// What waits for replies on the broker of the service.
    requests: Arc<Requests>,
    repliers: Repliers,
}

/// What the configuration says of a topic.
pub(crate) struct Way {
    /// What it is called here.
    pub(crate) name: Option<String>,
    /// Where it goes, where that is not the broker of the service.
    pub(crate) elsewhere: Option<Elsewhere>,
}

/// Another broker than that of the service.
#[derive(Clone)]
pub(crate) struct Elsewhere {
    pub(crate) publisher: Arc<dyn DynPublisher>,
    /// What waits for replies there.
    pub(crate) requests: Arc<Requests>,
}

/// The queues of a broker, as topics.
pub(crate) struct Queues {
    /// A queue as a topic of the broker's publisher.
    pub(crate) topic: Arc<dyn Fn(&str) -> Topic + Send + Sync>,
    /// Where they are, where that is not the broker of the service.
    pub(crate) elsewhere: Option<Elsewhere>,
}

impl Bus {
    /// A bus on this publisher, for a unit test.
    pub fn new(publisher: impl Publisher) -> Self {
        let bus = Self::default();
        bus.connect(Arc::new(publisher));
        bus
    }

    pub(crate) fn connect(&self, publisher: Arc<dyn DynPublisher>) {
        // Connected twice only by somebody who starts one app twice; the first stays.
        _ = self.line.publisher.set(publisher);
    }

    /// What waits for replies on the broker of the service.
    pub(crate) fn requests(&self) -> &Arc<Requests> {
        &self.line.requests
    }

    /// The same on the broker that a topic leads to: a reply comes in where its request went out.
    pub(crate) fn requests_to(&self, topic: &Topic) -> &Arc<Requests> {
        let (elsewhere, _) = self.resolve(topic);
        elsewhere.map_or(&self.line.requests, |elsewhere| &elsewhere.requests)
    }

    /// What replies.
    pub(crate) fn repliers(&self) -> &Repliers {
        &self.line.repliers
    }

    /// How a bus made by hand replies: to the address as it is.
    pub(crate) fn back(&self, address: &str) -> replier::Way {
        let topic = Topic::from(address);
        let publisher = self.line.publisher.get();
        let publisher = publisher.ok_or_else(|| too_early(&topic))?.clone();
        Ok((topic, publisher))
    }

    /// Tells requesters what is still to be told, and waits for no reply any more. Before the publishers close.
    pub(crate) async fn close(&self) {
        self.line.repliers.close().await;
        let ways = self.line.ways.get().into_iter().flat_map(HashMap::values);
        let queues = self.line.queues.get().into_iter().flat_map(HashMap::values);
        let of_ways = ways.filter_map(|way| way.elsewhere.as_ref());
        let of_queues = queues.filter_map(|queues| queues.elsewhere.as_ref());
        let others = of_ways.chain(of_queues);
        let others = others.map(|elsewhere| &elsewhere.requests);
        // Those of several topics may be the same: it is closed once.
        join_all(
            others
                .chain([&self.line.requests])
                .map(|requests| requests.close()),
        )
        .await;
    }

    pub(crate) fn lead(&self, ways: HashMap<String, Way>, queues: HashMap<String, Queues>) {
        _ = self.line.ways.set(ways);
        _ = self.line.queues.set(queues);
    }

    /// The broker whose queue this topic is, by its name, and the queue.
    fn queue<'t>(&self, topic: &'t Topic) -> Option<(&Queues, &'t str)> {
        let (broker, queue) = topic.as_str().split_once(':')?;
        Some((self.line.queues.get()?.get(broker)?, queue))
    }

    /// Where a topic leads, where that is not the broker of the service, and what it is called there.
    fn resolve(&self, topic: &Topic) -> (Option<&Elsewhere>, Topic) {
        if let Some(way) = self.way(topic) {
            let name = way.name.as_deref();
            let name = name.map_or_else(|| topic.clone(), Topic::from);
            return (way.elsewhere.as_ref(), name);
        }
        match self.queue(topic) {
            Some((queues, queue)) => (queues.elsewhere.as_ref(), (queues.topic)(queue)),
            None => (None, topic.clone()),
        }
    }

    /// What the configuration says of this topic.
    fn way(&self, topic: &Topic) -> Option<&Way> {
        let ways = self.line.ways.get().filter(|ways| !ways.is_empty())?;
        let exact = ways.get(topic.as_str());
        exact.or_else(|| ways.get(&form(topic.as_str())))
    }

    /// The same bus on behalf of this message: what it publishes carries its trace and correlation on. The bus a handler is given is so
    /// already, but for that of a batch.
    #[must_use]
    pub fn following(&self, message: &Message) -> Self {
        Self {
            line: Arc::clone(&self.line),
            handled: Some(message.clone()),
        }
    }

    /// Publishes an event, as JSON, to its topic; returns once the broker confirmed it, with the id it gave.
    ///
    /// # Errors
    ///
    /// Where the event does not encode, or the broker did not confirm it: it may or may not have been published.
    pub fn publish<E: Event>(&self, event: &E) -> Publishing<'_> {
        match Outgoing::event(event) {
            Ok(outgoing) => Publishing::new(self.send(E::TOPIC, outgoing)),
            Err(error) => Publishing::failed(error),
        }
    }

    /// Publishes a value, as JSON, to a topic.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn publish_to<T: Publishable + ?Sized>(
        &self,
        topic: impl Into<Topic>,
        value: &T,
    ) -> Publishing<'_> {
        let topic = topic.into();
        match encoded(topic.as_str(), value) {
            Ok(message) => Publishing::new(self.send(topic, message)),
            Err(error) => Publishing::failed(error),
        }
    }

    /// Publishes a message as it is: payload, headers, group, delay.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub async fn send(
        &self,
        topic: impl Into<Topic>,
        message: impl Into<Outgoing>,
    ) -> Result<MessageId, Error> {
        let topic = topic.into();
        let answers = self.send_batch(&topic, vec![message.into()]).await;
        answers
            .into_iter()
            .next()
            .unwrap_or_else(|| Err(unanswered(&topic)))
    }

    /// Publishes many messages in as few calls as the broker allows; answers for each, in order. Of a group, where the broker keeps
    /// groups, none is published after one that was not.
    ///
    /// ```
    /// # use loafer::{Bus, Error, Message};
    /// # async fn example(bus: Bus) -> Result<(), Error> {
    /// let reminders = (1..=25).map(|number| Message::new(number.to_string()));
    /// bus.send_all("reminder-wanted", reminders).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Each answer as that of [`publish`](Self::publish).
    pub async fn send_all<O: Into<Outgoing>>(
        &self,
        topic: impl Into<Topic>,
        messages: impl IntoIterator<Item = O>,
    ) -> Vec<Result<MessageId, Error>> {
        let batch = messages.into_iter().map(Into::into).collect();
        self.send_batch(&topic.into(), batch).await
    }

    async fn send_batch(
        &self,
        topic: &Topic,
        batch: Vec<Outgoing>,
    ) -> Vec<Result<MessageId, Error>> {
        let (elsewhere, topic) = self.resolve(topic);
        let elsewhere = elsewhere.map(|elsewhere| &elsewhere.publisher);
        let Some(publisher) = elsewhere.or_else(|| self.line.publisher.get()) else {
            return batch.iter().map(|_| Err(too_early(&topic))).collect();
        };
        if batch.is_empty() {
            return Vec::new();
        }
        let prepared = batch.into_iter().map(|outgoing| {
            let outgoing = propagation::identify(outgoing);
            match &self.handled {
                Some(handled) => propagation::carry(outgoing, handled),
                None => outgoing,
            }
        });
        let batch: Vec<Outgoing> = prepared.collect();
        let mut answers = publisher.publish(&topic, &batch).await;
        answers.resize_with(batch.len(), || Err(unanswered(&topic)));
        answers
    }
}

fn too_early(topic: &Topic) -> Error {
    Error::Start(format!(
        "nothing can be published to `{topic}` yet: the app has not started; publish from a handler or `on_started`"
    ))
}

fn unanswered(topic: &Topic) -> Error {
    Error::Unreachable {
        what: "publish",
        queue: topic.to_string(),
        cause: "no answer".to_owned(),
        source: None,
    }
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus")
            .field("connected", &self.line.publisher.get().is_some())
            .finish()
    }
}

impl Bus {
    /// Returns the bus of an app.
    fn of(resources: &Resources) -> Result<Self, Missing> {
        let bus = resources.get::<Self>();
        bus.map(|bus| (*bus).clone())
            .ok_or_else(|| Missing::new("there is no bus: these resources are no app's"))
    }
}

impl FromContext for Bus {
    type Needs = Self;

    fn needs(resources: &Resources) -> Result<Self, Missing> {
        Self::of(resources)
    }

    fn from_context(needs: &Self, context: &Context<'_>) -> Result<Self, Rejection> {
        Ok(needs.following(context.message()))
    }
}

impl FromApp for Bus {
    fn from_app(needs: &Self) -> Self {
        needs.clone()
    }
}

/// Always there.
impl OptionalFromContext for Bus {
    fn optional_from_context(
        needs: &Self::Needs,
        context: &Context<'_>,
    ) -> Result<Option<Self>, Rejection> {
        Self::from_context(needs, context).map(Some)
    }
}

/// How a name is written in the environment.
pub(crate) fn form(name: &str) -> String {
    name.to_uppercase().replace(['-', '.'], "_")
}
