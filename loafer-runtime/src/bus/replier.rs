//! Replies to requests, and notices to requesters that their requests failed for good.

use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{task::JoinSet, time::timeout};

use super::{Bus, erased::DynPublisher, propagation};
use loafer_core::{
    Error,
    broker::{REPLY_ERROR, REPLY_TO, REQUEST_ID, Topic},
    extract::RouteName,
    extract::{Context, FromContext, Missing, Rejection, Resources},
    message::{Message, Outgoing},
};

/// How long it may take to send the notice of a failure to a requester.
const REFUSAL: Duration = Duration::from_secs(5);

/// An extractor that replies to the request being handled. `#[handler(…, reply)]` does it for you: it replies with what the handler
/// returns.
///
/// ```
/// # use loafer::{Error, Replier};
/// # use serde_json::{Value, json};
/// async fn price_wanted(item: Value, replier: Replier) -> Result<bool, Error> {
///     if item["id"].is_null() {
///         return Ok(false);
///     }
///     replier.reply(&json!({ "cents": 100 })).await?;
///     Ok(true)
/// }
/// ```
///
/// A reply carries the request's id, trace and correlation. If a request wants no reply, nothing is sent, and this is not an error.
#[derive(Clone)]
pub struct Replier {
    bus: Bus,
    request: Message,
    names: Option<Arc<RouteName>>,
}

impl Replier {
    /// Returns a replier to this request on this bus, for a unit test.
    pub fn new(bus: &Bus, request: Message) -> Self {
        Self {
            bus: bus.clone(),
            request,
            names: None,
        }
    }

    pub(crate) fn of(bus: &Bus, context: &Context<'_>) -> Self {
        Self {
            bus: bus.clone(),
            request: context.message().clone(),
            names: Some(context.names().clone()),
        }
    }

    /// Whether the request says where to send a reply.
    pub fn is_wanted(&self) -> bool {
        address(&self.request).is_some()
    }

    /// Replies with a value, as JSON. Returns once the broker has confirmed the reply.
    ///
    /// Nothing is sent in three cases, which are logged and are not errors: no reply is wanted; this service may not reply to the address;
    /// the address is gone, because the requester has given up.
    ///
    /// # Errors
    ///
    /// If the value can't be encoded, or the broker did not confirm the reply. Without a confirmation the reply may have been sent or not.
    ///
    /// # Cancellation
    ///
    /// Not safe: when dropped, the reply may have been sent or not.
    pub async fn reply<T: Serialize + ?Sized>(&self, value: &T) -> Result<(), Error> {
        let payload = serde_json::to_vec(value).map_err(|error| Error::Encode {
            topic: "a reply".to_owned(),
            source: error.into(),
        })?;
        self.send(Message::new(payload)).await
    }

    /// Replies with a message as it is: payload and headers. Returns once the broker has confirmed the reply.
    ///
    /// # Errors
    ///
    /// Those of [`reply`](Self::reply).
    ///
    /// # Cancellation
    ///
    /// That of [`reply`](Self::reply).
    pub async fn send(&self, reply: impl Into<Outgoing>) -> Result<(), Error> {
        let (request_id, message_id) = (id(&self.request), self.request.id());
        let Some(address) = address(&self.request) else {
            self.unasked();
            return Ok(());
        };
        let found = self.bus.repliers().way(self.names.as_deref(), address);
        let found = found.unwrap_or_else(|| self.bus.back(address));
        let (topic, publisher) = match found {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%message_id, request_id, %error, "handled, but the reply could not be sent");
                return Ok(());
            }
        };
        let mut reply = reply.into();
        if let Some(id) = request_id {
            reply = reply.header(REQUEST_ID, id);
        }
        let reply = propagation::carry(propagation::identify(reply), &self.request);
        let answers = publisher.publish(&topic, &[reply]).await;
        match answers.into_iter().next() {
            Some(Ok(_)) => Ok(()),
            Some(Err(Error::UnknownQueue { .. })) => {
                tracing::debug!(%message_id, request_id, "handled, no reply sent: the requester is gone");
                Ok(())
            }
            Some(Err(error)) => Err(error),
            None => Err(Error::Unreachable {
                what: "replying",
                queue: topic.to_string(),
                cause: "no answer".to_owned(),
                source: None,
            }),
        }
    }

    /// Logs that the message wants no reply. This is a warning once for each route: somebody may have sent a request as a plain event on
    /// purpose.
    fn unasked(&self) {
        let (route, message_id) = (self.route(), self.request.id());
        if self.bus.repliers().is_news(route) {
            tracing::warn!(route, %message_id, "no reply sent: the message has no `reply-to` header, which `bus.request` sets (logged once per route)");
        } else {
            tracing::debug!(route, %message_id, "no reply sent: the message has no `reply-to` header, which `bus.request` sets");
        }
    }

    fn route(&self) -> &str {
        self.names.as_deref().map_or("test", |names| &names.route)
    }
}

fn address(request: &Message) -> Option<&str> {
    let address = request.headers().get(REPLY_TO);
    address.filter(|address| !address.is_empty())
}

fn id(request: &Message) -> Option<&str> {
    request.headers().get(REQUEST_ID)
}

impl FromContext for Replier {
    type Needs = Bus;

    fn needs(resources: &Resources) -> Result<Bus, Missing> {
        Bus::of(resources)
    }

    fn from_context(bus: &Bus, context: &Context<'_>) -> Result<Self, Rejection> {
        Ok(Self::of(bus, context))
    }
}

impl fmt::Debug for Replier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replier")
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}

/// The topic of a reply, and the publisher that sends it.
pub(crate) type Way = Result<(Topic, Arc<dyn DynPublisher>), Error>;

/// How replies are sent on one broker of an app.
#[derive(Clone)]
pub(crate) struct ReplyPath {
    /// The name of the broker's instance.
    pub(crate) broker: Arc<str>,
    /// Returns the topic of an address, by [`Broker::reply_topic`](loafer_core::broker::Broker::reply_topic).
    pub(crate) topic: ReplyTopic,
    /// Publishes to that topic.
    pub(crate) publisher: Arc<dyn DynPublisher>,
}

/// Returns the topic of a reply address.
pub(crate) type ReplyTopic = Arc<dyn Fn(&str) -> Result<Topic, Error> + Send + Sync>;

/// How the replies of an app are sent.
#[derive(Default)]
pub(crate) struct Repliers {
    /// One for each broker that has routes: known before its routes receive.
    brokers: RwLock<Vec<ReplyPath>>,
    /// The routes that were warned about a message that wants no reply.
    warned: Mutex<HashSet<String>>,
    /// Notices to requesters that are still being sent.
    refusals: Mutex<JoinSet<()>>,
}

impl Repliers {
    /// Adds brokers. One that is known stays as it is.
    pub(crate) fn connect(&self, brokers: impl IntoIterator<Item = ReplyPath>) {
        let mut known = self.brokers.write().unwrap_or_else(PoisonError::into_inner);
        for path in brokers {
            if !known.iter().any(|known| known.broker == path.broker) {
                known.push(path);
            }
        }
    }

    /// Returns how to reply on the broker that the request came from: a reply goes nowhere else. `None` on a bus made by hand.
    fn way(&self, names: Option<&RouteName>, address: &str) -> Option<Way> {
        let brokers = self.brokers.read().unwrap_or_else(PoisonError::into_inner);
        let names = names?;
        let path = brokers.iter().find(|path| path.broker == names.broker)?;
        let topic = (path.topic)(address);
        Some(topic.map(|topic| (topic, path.publisher.clone())))
    }

    /// Whether this is the first warning about the route.
    fn is_news(&self, route: &str) -> bool {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        !warned.contains(route) && warned.insert(route.to_owned())
    }

    /// Waits for the notices that are still being sent. Each has a time limit.
    pub(crate) async fn close(&self) {
        let mut refusals = {
            let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *refusals)
        };
        while refusals.join_next().await.is_some() {}
    }
}

/// What a requester learns when its request failed for good.
#[derive(Debug, Deserialize, Serialize)]
struct Refusal {
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Bus {
    /// Sends the requester of this message (its envelope opened) a notice that the request failed for good, so that it need not wait any
    /// longer. Returns at once: the message is settled whether the notice arrives or not.
    #[cold]
    pub(crate) fn refuse(
        &self,
        names: &Arc<RouteName>,
        request: Message,
        kind: &str,
        reason: Option<&str>,
    ) {
        if address(&request).is_none() {
            return;
        }
        let refusal = Refusal {
            kind: kind.to_owned(),
            reason: reason.map(str::to_owned),
        };
        let reply = Message::new(serde_json::to_vec(&refusal).unwrap_or_default())
            .with_header(REPLY_ERROR, kind);
        let replier = Replier {
            bus: self.clone(),
            request,
            names: Some(names.clone()),
        };
        let refusals = &self.repliers().refusals;
        let mut refusals = refusals.lock().unwrap_or_else(PoisonError::into_inner);
        // Drops those that are done.
        while refusals.try_join_next().is_some() {}
        refusals.spawn(async move {
            let sent = timeout(REFUSAL, replier.send(reply)).await;
            let cause = match sent {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {REFUSAL:?}"),
            };
            tracing::warn!(message_id = %replier.request.id(), cause, "the requester could not be informed that its request failed: it waits until its timeout");
        });
    }
}

/// Returns the reply, or the failure that it reports.
pub(crate) fn opened(topic: &Topic, reply: Message) -> Result<Message, Error> {
    let Some(kind) = reply.headers().get(REPLY_ERROR) else {
        return Ok(reply);
    };
    let refusal = serde_json::from_slice::<Refusal>(reply.payload()).ok();
    Err(Error::RequestFailed {
        topic: topic.to_string(),
        request_id: id(&reply).unwrap_or_default().to_owned(),
        kind: kind.to_owned(),
        reason: refusal.and_then(|refusal| refusal.reason),
    })
}
