//! Replies: an exclusive queue of this process, which ends with its connection.
//!
//! The reply buffer, `buffer`, keeps what came until it is fetched.

mod buffer;

use std::{fmt, sync::Arc, time::Duration};

use futures_util::StreamExt;
use lapin::{
    Channel, Consumer,
    options::{BasicConsumeOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use loafer_core::{
    Error,
    broker::{REQUEST_ID, Replies},
    message::Message,
};
use tokio::{sync::Mutex, task::AbortHandle, time::timeout};

use self::buffer::{Reader, Writer, buffer};
use crate::{
    client::{ANSWER, Link, answered, close},
    message::{Arrival, received},
    names,
};

/// An exclusive queue, `APP-replies-UUID`, declared at the first request of the process and consumed without acknowledgements.
///
/// RabbitMQ deletes it with its connection, also after a crash. After a lost connection a new queue is made, and requests that were on their way
/// time out.
pub struct AmqpReplies {
    link: Arc<Link>,
    app: Option<String>,
    /// `None` until the first request, and after `close`. It may hold a queue that is lost.
    queue: Mutex<Option<ReplyQueue>>,
}

/// The queue, and the replies that came to it.
#[derive(Clone)]
struct ReplyQueue {
    name: Arc<str>,
    channel: Channel,
    /// The task that reads the channel to its end.
    pump: AbortHandle,
    replies: Arc<Mutex<Reader>>,
}

impl AmqpReplies {
    pub(crate) fn new(link: Arc<Link>, app: Option<&str>) -> Self {
        Self {
            link,
            app: app.map(str::to_owned),
            queue: Mutex::default(),
        }
    }

    /// Returns the queue. The first caller opens it, and so does the first after it was lost.
    async fn queue(&self) -> Result<ReplyQueue, Error> {
        let mut queue = self.queue.lock().await;
        if let Some(queue) = queue.as_ref().filter(|queue| queue.is_live()) {
            return Ok(queue.clone());
        }
        let opened = ReplyQueue::open(&self.link, self.app.as_deref()).await?;
        Ok(queue.insert(opened).clone())
    }
}

impl ReplyQueue {
    async fn open(link: &Link, app: Option<&str>) -> Result<Self, Error> {
        // A new name each time: RabbitMQ may not yet know that the last connection is lost, and keeps its queue for it alone.
        let (what, queue) = ("opening the queue for replies", names::replies::queue(app));
        let channel = link.channel(what, &queue).await?;
        let options = QueueDeclareOptions {
            exclusive: true,
            auto_delete: true,
            ..QueueDeclareOptions::default()
        };
        let mut arguments = FieldTable::default();
        // The virtual host may have another default type, which can't be exclusive.
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
        let (writer, replies) = buffer();
        Ok(Self {
            name: queue.into(),
            channel,
            pump: tokio::spawn(pump(consumer, writer)).abort_handle(),
            replies: Arc::new(Mutex::new(replies)),
        })
    }

    /// Returns whether replies still come in.
    fn is_live(&self) -> bool {
        self.channel.status().connected() && !self.pump.is_finished()
    }
}

/// Takes what RabbitMQ pushes, also while nobody fetches: what is too much is dropped here.
async fn pump(mut consumer: Consumer, replies: Writer) {
    while let Some(Ok(delivered)) = consumer.next().await {
        let properties = &delivered.properties;
        let mut reply = received(
            delivered.routing_key.as_str(),
            Arrival::default(),
            properties,
            delivered.data,
        );
        // Clients in other languages set the property only.
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

impl Replies for AmqpReplies {
    async fn address(&self) -> Result<String, Error> {
        Ok(self.queue().await?.name.to_string())
    }

    async fn receive(&self, wait: Duration, into: &mut Vec<Message>) -> Result<(), Error> {
        let queue = self.queue().await?;
        let mut replies = queue.replies.lock().await;
        match timeout(wait, replies.next()).await {
            Ok(Some(first)) => into.push(first),
            Ok(None) => {
                return Err(Error::Unreachable {
                    what: "receiving replies",
                    queue: queue.name.to_string(),
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

    /// Closes the channel. RabbitMQ deletes the queue with its consumer.
    async fn close(&self) {
        if let Some(queue) = self.queue.lock().await.take() {
            _ = timeout(ANSWER, close(&queue.channel)).await;
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
