//! The bus: publishing, requests and replies.

pub(crate) mod erased;
mod propagation;
mod publishing;
pub(crate) mod replier;
mod request;
pub(crate) mod requests;
mod ways;

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use futures_util::future::join_all;

pub(crate) use self::ways::{OtherBroker, Queues, Way, form};
use self::{erased::DynPublisher, replier::Repliers, requests::Requests, ways::Ways};
pub use self::{publishing::Publishing, replier::Replier};
use loafer_core::event::{Event, Publishable, encoded};
use loafer_core::{
    Error,
    broker::{PublishCapabilities, Publisher, Topic},
    extract::{Context, FromApp, FromContext, Missing, OptionalFromContext, Rejection, Resources},
    message::{Message, MessageId, Outgoing},
};

/// An extractor that publishes on the broker of the service.
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
/// What a handler publishes carries these headers of the message being handled: `traceparent`, `tracestate` and `correlation-id`. If that
/// message has no `correlation-id`, its id is sent instead: it is the first message of its conversation. Its id is also sent as
/// `causation-id`. Headers that the handler sets itself are kept. A publisher leaves these headers out if its broker has no room for them.
///
/// Every published message also has an `event-id`: its own, or a new one. No publisher leaves that out.
#[derive(Clone, Default)]
pub struct Bus {
    line: Arc<Line>,
    /// The message being handled. `None` for a bus that is not a handler's.
    handled: Option<Message>,
}

/// What all buses of one app share.
#[derive(Default)]
struct Line {
    /// Set once the routes are open. Handlers are prepared before that.
    publisher: OnceLock<Arc<dyn DynPublisher>>,
    ways: Ways,
    /// Requests that wait for replies on the broker of the service.
    requests: Arc<Requests>,
    repliers: Repliers,
}

impl Bus {
    /// Returns a bus on this publisher, for a unit test.
    pub fn new(publisher: impl Publisher) -> Self {
        let bus = Self::default();
        bus.connect(Arc::new(publisher));
        bus
    }

    pub(crate) fn connect(&self, publisher: Arc<dyn DynPublisher>) {
        // Only a program that starts one app twice connects twice. The first publisher stays.
        _ = self.line.publisher.set(publisher);
    }

    /// Returns the requests that wait for replies on the broker of the service.
    pub(crate) fn requests(&self) -> &Arc<Requests> {
        &self.line.requests
    }

    /// Returns the requests that wait for replies on the broker of this topic: a reply arrives on the broker that its request went to.
    pub(crate) fn requests_to(&self, topic: &Topic) -> Arc<Requests> {
        let (other_broker, _) = self.line.ways.resolve(topic);
        other_broker.map_or_else(
            || self.line.requests.clone(),
            |other_broker| other_broker.requests,
        )
    }

    /// Returns what the repliers of this app share.
    pub(crate) fn repliers(&self) -> &Repliers {
        &self.line.repliers
    }

    /// Returns how a bus made by hand replies: to the address as it is.
    pub(crate) fn back(&self, address: &str) -> replier::Way {
        let topic = Topic::from(address);
        let publisher = self.line.publisher.get();
        let publisher = publisher.ok_or_else(|| too_early(&topic))?.clone();
        Ok((topic, publisher))
    }

    /// Sends what requesters still have to learn, and stops waiting for replies. Called before the publishers close.
    pub(crate) async fn close(&self) {
        self.line.repliers.close().await;
        let others = self.line.ways.others();
        let others = others.into_iter().map(|other| other.requests);
        let all: Vec<_> = others.chain([self.line.requests.clone()]).collect();
        // Several topics may share one. Closing it again does nothing.
        join_all(all.iter().map(|requests| requests.close())).await;
    }

    /// Returns where topics lead.
    pub(crate) fn ways(&self) -> &Ways {
        &self.line.ways
    }

    /// Returns what publishes to a topic, and the topic's name there. `None` means that the app has not started.
    pub(crate) fn target(&self, topic: &Topic) -> Option<(Arc<dyn DynPublisher>, Topic)> {
        let (other_broker, topic) = self.line.ways.resolve(topic);
        let other_broker = other_broker.map(|other_broker| other_broker.publisher);
        let publisher = other_broker.or_else(|| self.line.publisher.get().cloned())?;
        Some((publisher, topic))
    }

    /// Returns what the broker of this topic can do with a message: its size, its delay, its headers. `None` means that the app has not started.
    ///
    /// ```
    /// # use loafer::{Bus, Outgoing};
    /// /// What goes beyond these limits is refused when it is published. This asks before.
    /// fn fits(bus: &Bus, message: &Outgoing) -> bool {
    ///     let capabilities = bus.capabilities("order-closed");
    ///     capabilities.is_some_and(|capabilities| capabilities.refusal(message).is_none())
    /// }
    /// ```
    pub fn capabilities(&self, topic: impl Into<Topic>) -> Option<PublishCapabilities> {
        let topic = topic.into();
        let (publisher, topic) = self.target(&topic)?;
        Some(publisher.capabilities(&topic))
    }

    /// Returns a bus that publishes on behalf of this message: what it publishes carries the message's trace and correlation headers. The
    /// bus that a handler takes does so already, except that of a batch handler.
    #[must_use]
    pub fn following(&self, message: &Message) -> Self {
        Self {
            line: Arc::clone(&self.line),
            handled: Some(message.clone()),
        }
    }

    /// Publishes an event, in its encoding, to its topic. Returns the id that the broker gave it, once the broker has confirmed it.
    ///
    /// # Errors
    ///
    /// If the event can't be encoded, the app has not started, or the broker did not confirm the event. Without a confirmation it may have been
    /// published or not.
    ///
    /// # Cancellation
    ///
    /// Not safe: when dropped, the event may have been published or not. See [`Publishing`].
    pub fn publish<E: Event>(&self, event: &E) -> Publishing<'_> {
        match Outgoing::event(event) {
            Ok(outgoing) => Publishing::new(self.send(E::TOPIC, outgoing)),
            Err(error) => Publishing::failed(error),
        }
    }

    /// Publishes a value, as JSON, to a topic. Returns the id that the broker gave it, once the broker has confirmed it.
    ///
    /// # Errors
    ///
    /// Those of [`publish`](Self::publish).
    ///
    /// # Cancellation
    ///
    /// That of [`publish`](Self::publish).
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

    /// Publishes a message as it is: payload, headers, group and delay. Returns the id that the broker gave it, once the broker has
    /// confirmed it.
    ///
    /// # Errors
    ///
    /// Those of [`publish`](Self::publish).
    ///
    /// # Cancellation
    ///
    /// That of [`publish`](Self::publish).
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

    /// Publishes many messages in as few calls as the broker allows. Returns one answer for each message, in their order.
    ///
    /// If the broker keeps groups in order, no message of a group is published after one that failed.
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
    /// Each answer may be an error, for the reasons of [`publish`](Self::publish).
    ///
    /// # Cancellation
    ///
    /// Not safe: when dropped, each of the messages may have been published or not.
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
        let Some((publisher, topic)) = self.target(topic) else {
            return batch.iter().map(|_| Err(too_early(topic))).collect();
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

/// The bus is always there: this is never `None`.
impl OptionalFromContext for Bus {
    fn optional_from_context(
        needs: &Self::Needs,
        context: &Context<'_>,
    ) -> Result<Option<Self>, Rejection> {
        Self::from_context(needs, context).map(Some)
    }
}
