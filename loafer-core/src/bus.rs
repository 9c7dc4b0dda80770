//! The way out of a handler: publishing.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, OnceLock},
};

use serde::Serialize;

use crate::{
    App, Context, Error, FromApp, FromContext, Message, MessageId, Missing, Outgoing, Publisher,
    Rejection, Topic, config::form, publisher::DynPublisher,
};

/// A type whose values are published, and where to.
///
/// ```
/// # use serde::Serialize;
/// use loafer_core::Event;
///
/// #[derive(Serialize)]
/// struct FriendCreated { id: String }
///
/// impl Event for FriendCreated {
///     const TOPIC: &'static str = "friend-created";
/// }
/// ```
pub trait Event: Serialize {
    /// The topic its values go to.
    const TOPIC: &'static str;
    /// Which form of the event this is.
    const VERSION: u32 = 1;
}

/// Publishes on the broker of the service: an extractor.
///
/// ```
/// # use loafer_core::{Bus, Error};
/// # use serde_json::{Value, json};
/// async fn order_placed(order: Value, bus: Bus) -> Result<bool, Error> {
///     bus.publish_to("invoice-wanted", &json!({ "order": order["id"] })).await?;
///     Ok(true)
/// }
/// ```
#[derive(Clone, Default)]
pub struct Bus {
    /// Set once the routes are open: handlers are made ready before.
    publisher: Arc<OnceLock<Arc<dyn DynPublisher>>>,
    /// What the configuration calls topics here, by their names or by how the environment writes these.
    names: Arc<OnceLock<HashMap<String, String>>>,
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
        _ = self.publisher.set(publisher);
    }

    pub(crate) fn rename(&self, names: impl Iterator<Item = (String, String)>) {
        _ = self.names.set(names.collect());
    }

    /// What the configuration calls this topic.
    fn named(&self, topic: Topic) -> Topic {
        let Some(names) = self.names.get().filter(|names| !names.is_empty()) else {
            return topic;
        };
        let exact = names.get(topic.as_str());
        match exact.or_else(|| names.get(&form(topic.as_str()))) {
            Some(name) => Topic::from(name.as_str()),
            None => topic,
        }
    }

    /// Publishes an event, as JSON, to its topic; returns once the broker confirmed it, with the id it gave.
    ///
    /// # Errors
    ///
    /// Where the event does not encode, or the broker did not confirm it: it may or may not have been published.
    pub async fn publish<E: Event>(&self, event: &E) -> Result<MessageId, Error> {
        self.publish_to(E::TOPIC, event).await
    }

    /// Publishes a value, as JSON, to a topic.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub async fn publish_to<T: Serialize + ?Sized>(
        &self,
        topic: impl Into<Topic>,
        value: &T,
    ) -> Result<MessageId, Error> {
        let topic = topic.into();
        let payload = serde_json::to_vec(value).map_err(|error| Error::Encode {
            topic: topic.to_string(),
            source: error.into(),
        })?;
        self.send(topic, Message::new(payload)).await
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
        let topic = self.named(topic.into());
        let Some(publisher) = self.publisher.get() else {
            return Err(Error::Start(format!(
                "nothing can be published to `{topic}` yet: the app has not started; publish from a handler or `on_start`"
            )));
        };
        let answers = publisher.publish(&topic, &[message.into()]).await;
        answers.into_iter().next().unwrap_or_else(|| {
            Err(Error::Unreachable {
                what: "publish",
                queue: topic.to_string(),
                cause: "no answer".to_owned(),
                source: None,
            })
        })
    }
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus")
            .field("connected", &self.publisher.get().is_some())
            .finish()
    }
}

impl FromContext for Bus {
    type Needs = Self;

    fn needs(app: &App) -> Result<Self, Missing> {
        Ok(app.bus())
    }

    fn from_context(needs: &Self, _: &Context<'_>) -> Result<Self, Rejection> {
        Ok(needs.clone())
    }
}

impl FromApp for Bus {
    fn from_app(needs: &Self) -> Self {
        needs.clone()
    }
}
