//! Fakes of other services that reply, for handlers that send requests.

use std::{
    collections::HashMap,
    fmt, slice,
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{bus::Bus, program::erased::DynBroker};
use loafer_core::{
    Error,
    broker::{Broker, PublishCapabilities, Publisher, REPLY_ERROR, REPLY_TO, REQUEST_ID, Topic},
    message::{Message, MessageId, Outgoing},
    translate::{Json, Translator},
};
use loafer_memory::{Memory, MemoryPublisher};

type Fake = Arc<dyn Fn(&Message) -> Message + Send + Sync>;

/// Who replies to the requests of a test, by topic.
#[derive(Clone, Default)]
pub(super) struct Fakes(HashMap<String, Fake>);

impl Fakes {
    pub(super) fn reply<W, R>(
        &mut self,
        topic: String,
        reply: impl Fn(W) -> R + Send + Sync + 'static,
    ) where
        W: DeserializeOwned,
        R: Serialize,
    {
        let of = topic.clone();
        let fake = move |request: &Message| {
            let wanted = Json.translate(request).unwrap_or_else(|error| {
                panic!("the fake reply to `{of}` can't read the request: {error}")
            });
            let reply = serde_json::to_vec(&reply(wanted)).unwrap_or_else(|error| {
                panic!("the fake reply to `{of}` does not encode: {error}")
            });
            Message::new(reply)
        };
        self.0.insert(topic, Arc::new(fake));
    }

    pub(super) fn refuse(&mut self, topic: String, reason: &str) {
        let refusal = serde_json::json!({ "kind": "rejected", "reason": reason }).to_string();
        let fake =
            move |_: &Message| Message::new(refusal.clone()).with_header(REPLY_ERROR, "rejected");
        self.0.insert(topic, Arc::new(fake));
    }

    /// Replies to what was published, if it is a request to a service that is faked.
    pub(super) fn answer(&self, topic: &str, request: &Message, memory: &Memory) {
        let headers = request.headers();
        let (Some(fake), Some(address)) = (self.0.get(topic), headers.get(REPLY_TO)) else {
            return;
        };
        let mut reply = fake(request);
        if let Some(id) = headers.get(REQUEST_ID) {
            reply = reply.with_header(REQUEST_ID, id);
        }
        memory.reply(address, reply);
    }
}

/// A [`Bus`] for the unit test of a handler that publishes or sends requests. It keeps what is published, and replies as the test says.
///
/// ```
/// # use std::time::Duration;
/// use loafer::{Bus, Error, testing};
/// use serde_json::{Value, json};
///
/// async fn order_placed(order: Value, bus: Bus) -> Result<bool, Error> {
///     let quote: Value = bus.request("price-wanted", &order["item"], Duration::from_secs(5)).await?;
///     bus.publish_to("quoted", &quote).await?;
///     Ok(quote["cents"].as_u64() < Some(500))
/// }
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let bus = testing::bus().reply("price-wanted", |item: u64| json!({ "cents": 100 * item }));
/// assert!(order_placed(json!({ "item": 3 }), bus.bus()).await.unwrap());
/// assert_eq!(bus.published("quoted").len(), 1);
///
/// // A service that is not faked never replies. Under a paused clock that takes no time.
/// let silent = testing::bus();
/// assert!(matches!(order_placed(json!({ "item": 3 }), silent.bus()).await, Err(Error::NoReply { .. })));
/// # }
/// ```
pub struct TestBus {
    memory: Memory,
    fakes: Fakes,
    published: Published,
}

/// The messages, each with its topic.
type Published = Arc<Mutex<Vec<(String, Message)>>>;

/// Returns a bus for the unit test of a handler.
pub fn bus() -> TestBus {
    TestBus {
        memory: Memory::new(),
        fakes: Fakes::default(),
        published: Published::default(),
    }
}

impl TestBus {
    /// Fakes another service: replies to the requests sent to a topic.
    ///
    /// # Panics
    ///
    /// In the handler that sends the request, if the request does not decode or the reply can't be encoded.
    #[must_use]
    pub fn reply<W: DeserializeOwned, R: Serialize>(
        mut self,
        topic: impl Into<String>,
        reply: impl Fn(W) -> R + Send + Sync + 'static,
    ) -> Self {
        self.fakes.reply(topic.into(), reply);
        self
    }

    /// Fakes another service: rejects the requests sent to a topic, for this reason.
    #[must_use]
    pub fn refuse(mut self, topic: impl Into<String>, reason: &str) -> Self {
        self.fakes.refuse(topic.into(), reason);
        self
    }

    /// Returns the bus. A reply that a handler sends goes only to [`published`](Self::published), under its address.
    pub fn bus(&self) -> Bus {
        let bus = Bus::new(TestBusPublisher {
            inner: Broker::publisher(&self.memory),
            memory: self.memory.clone(),
            fakes: self.fakes.clone(),
            published: self.published.clone(),
        });
        bus.requests()
            .connect(DynBroker::replies(&self.memory, None));
        bus
    }

    /// Returns what was published to a topic so far, in order.
    pub fn published(&self, topic: &str) -> Vec<Message> {
        let published = self
            .published
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let ours = published.iter().filter(|(to, _)| to == topic);
        ours.map(|(_, message)| message.clone()).collect()
    }
}

impl fmt::Debug for TestBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestBus").finish_non_exhaustive()
    }
}

struct TestBusPublisher {
    inner: MemoryPublisher,
    memory: Memory,
    fakes: Fakes,
    published: Published,
}

impl Publisher for TestBusPublisher {
    async fn publish(
        &self,
        topic: &Topic,
        batch: &[Outgoing],
        answers: &mut Vec<Result<MessageId, Error>>,
    ) {
        for outgoing in batch {
            self.inner
                .publish(topic, slice::from_ref(outgoing), answers)
                .await;
            self.published
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((topic.to_string(), outgoing.message.clone()));
            self.fakes
                .answer(topic.as_str(), &outgoing.message, &self.memory);
        }
    }

    fn capabilities(&self, topic: &Topic) -> PublishCapabilities {
        self.inner.capabilities(topic)
    }
}
