//! Replies: an exclusive queue of this process, which ends with its connection.

mod buffer;

use std::{fmt, sync::Arc, time::Duration};

use futures_util::StreamExt;
use lapin::{
    Channel, Consumer,
    options::{BasicConsumeOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use loafer_core::{Error, Message, REQUEST_ID, Replies, Topic, is_reply_queue, reply_queue};
use tokio::{sync::Mutex, task::AbortHandle, time::timeout};

use self::buffer::{Inlet, Unfetched, unfetched};
use crate::{
    Routing,
    broker::Shared,
    client::{ANSWER, Link, answered},
    message,
    topology::close,
};

/// The longest name of a queue (AMQP 0-9-1: a short string).
const NAME: usize = 255;
/// What the names of queues begin with that RabbitMQ names itself: nobody else may declare one.
const OF_SERVER: [&str; 2] = ["amq.gen-", "amq.rabbitmq.reply-to."];
/// A topic that is a queue, whatever its name holds.
const QUEUE: &str = "amqp:/";

/// An exclusive queue, `APP-replies-UUID`, declared at the first request of the process and consumed without acknowledgements.
///
/// RabbitMQ deletes it with its connection, a crash included. After a lost connection there is another one: requests that were on their way
/// time out.
pub struct AmqpReplies {
    shared: Arc<Shared>,
    app: Option<String>,
    inbox: Mutex<Option<Inbox>>,
}

/// The queue, and what came of it.
#[derive(Clone)]
struct Inbox {
    queue: Arc<str>,
    channel: Channel,
    /// Reads the channel to its end.
    pump: AbortHandle,
    replies: Arc<Mutex<Unfetched>>,
}

impl AmqpReplies {
    pub(crate) fn new(shared: Arc<Shared>, app: Option<&str>) -> Self {
        Self {
            shared,
            app: app.map(str::to_owned),
            inbox: Mutex::default(),
        }
    }
}

impl Inbox {
    async fn open(link: &Link, app: Option<&str>) -> Result<Self, Error> {
        // Another name each time: of a connection that is lost here the broker may not know yet, and its queue is nobody else's.
        let (what, queue) = ("opening the queue for replies", reply_queue(app, NAME));
        let channel = link.channel(what, &queue).await?;
        let options = QueueDeclareOptions {
            exclusive: true,
            auto_delete: true,
            ..QueueDeclareOptions::default()
        };
        let mut arguments = FieldTable::default();
        // A virtual host may have another default, which can't be exclusive.
        arguments.insert(
            "x-queue-type".into(),
            AMQPValue::LongString("classic".into()),
        );
        let declared = channel.queue_declare(queue.as_str().into(), options, arguments);
        answered(what, &queue, declared).await?;
        let options = BasicConsumeOptions {
            no_ack: true,
            exclusive: true,
            ..BasicConsumeOptions::default()
        };
        let none = FieldTable::default();
        let consumed = channel.basic_consume(queue.as_str().into(), "".into(), options, none);
        let consumer = answered(what, &queue, consumed).await?;
        let (inlet, replies) = unfetched();
        Ok(Self {
            queue: queue.into(),
            channel,
            pump: tokio::spawn(pump(consumer, inlet)).abort_handle(),
            replies: Arc::new(Mutex::new(replies)),
        })
    }

    /// Whether replies still come in.
    fn is_live(&self) -> bool {
        self.channel.status().connected() && !self.pump.is_finished()
    }
}

/// Takes in what the broker pushes, also while nobody waits: what is too much is dropped here, and not kept for ever.
async fn pump(mut consumer: Consumer, replies: Inlet) {
    while let Some(Ok(delivered)) = consumer.next().await {
        let properties = &delivered.properties;
        let mut reply = message::received(
            delivered.routing_key.as_str(),
            delivered.redelivered,
            properties,
            delivered.data,
        );
        // Those who reply in other languages set the property alone.
        if let Some(id) = properties.correlation_id()
            && reply.headers().get(REQUEST_ID).is_none()
        {
            reply = reply.with_header(REQUEST_ID, id.as_str());
        }
        if !replies.put(reply).await {
            return;
        }
    }
}

impl AmqpReplies {
    /// The queue, opened by the first who asks, and again where it was lost.
    async fn inbox(&self) -> Result<Inbox, Error> {
        let mut inbox = self.inbox.lock().await;
        if let Some(inbox) = inbox.as_ref().filter(|inbox| inbox.is_live()) {
            return Ok(inbox.clone());
        }
        let opened = Inbox::open(&self.shared.consuming, self.app.as_deref()).await?;
        Ok(inbox.insert(opened).clone())
    }
}

impl Replies for AmqpReplies {
    async fn address(&self) -> Result<String, Error> {
        Ok(self.inbox().await?.queue.to_string())
    }

    async fn receive(&self, wait: Duration, into: &mut Vec<Message>) -> Result<(), Error> {
        let inbox = self.inbox().await?;
        let mut replies = inbox.replies.lock().await;
        match timeout(wait, replies.next()).await {
            Ok(Some(first)) => into.push(first),
            Ok(None) => {
                return Err(Error::Unreachable {
                    what: "receiving replies",
                    queue: inbox.queue.to_string(),
                    cause: "the connection to RabbitMQ is lost, and the queue with it: requests that were on their way time out".to_owned(),
                    source: None,
                });
            }
            Err(_) => {}
        }
        while let Some(next) = replies.next_now() {
            into.push(next);
        }
        Ok(())
    }

    /// Ends the channel: the queue goes with its consumer.
    async fn close(&self) {
        if let Some(inbox) = self.inbox.lock().await.take() {
            _ = timeout(ANSWER, close(&inbox.channel)).await;
        }
    }
}

impl fmt::Debug for AmqpReplies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpReplies")
            .field("app", &self.app)
            .finish_non_exhaustive()
    }
}

/// The topic of a reply, at an address that somebody's request named in `reply_to`: a queue that is of replies by its name, or that RabbitMQ
/// named itself, on the default exchange.
pub(crate) fn topic(address: &str) -> Result<Topic, Error> {
    match is_address(address) {
        true => Ok(Routing::key(address).exchange("").into()),
        false => Err(Error::Config(
            "the property `reply_to` names no queue for replies on RabbitMQ: one that RabbitMQ named, as amq.gen-…, its direct reply-to, or NAME-replies-UUID".to_owned(),
        )),
    }
}

fn is_address(queue: &str) -> bool {
    let of_server = OF_SERVER.iter().any(|start| queue.starts_with(start));
    queue.len() <= NAME
        && queue.bytes().all(|byte| byte.is_ascii_graphic())
        && (of_server || is_reply_queue(queue))
}

/// Whether a topic leads to somebody's reply address.
pub(crate) fn is_reply(topic: &Topic) -> bool {
    let queue = topic.as_str().strip_prefix(QUEUE);
    queue.is_some_and(is_address)
}

/// What is said where a reply finds no queue.
pub(crate) fn gone(topic: &Topic) -> Error {
    Error::UnknownQueue {
        queue: topic
            .as_str()
            .strip_prefix(QUEUE)
            .unwrap_or_default()
            .to_owned(),
        place: String::new(),
        remedy: "whoever waited for a reply is gone".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_that_are_private_are_replied_to_and_no_others() {
        let ours = reply_queue(Some("friends"), NAME);
        for queue in [
            &*ours,
            "amq.gen-JzTY20BRgKO-HjmUJj0wLg",
            "amq.rabbitmq.reply-to.g1h2AA5/x+y==.a1",
        ] {
            let topic = topic(queue).unwrap();
            assert!(is_reply(&topic), "{queue}");
            let Error::UnknownQueue { queue: told, .. } = gone(&topic) else {
                panic!("{queue}");
            };
            assert_eq!(told, queue);
            assert_eq!(
                Routing::of(topic.as_str()),
                Ok(Routing::key(queue).exchange(""))
            );
        }
        for queue in ["", "orders", "amq.topic", "event/orders", "amq.gen-a b"] {
            assert!(topic(queue).is_err(), "{queue}");
        }
        assert!(!is_reply(&Topic::from("amqp:orders")));
    }
}
