//! Replies: a temporary queue of this process, made at its first request.

mod address;
mod left_behind;

use std::{
    fmt,
    sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_sdk_sqs::types::QueueAttributeName as Name;
use futures_util::future::join_all;
use loafer_core::{
    Error,
    broker::{Finding, Replies, is_reply_queue, reply_queue},
    message::Message,
};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep_until, timeout},
};

use crate::{
    client::{Clients, ENTRIES, Poll, Shared},
    error::Call,
    message::{self, Folded},
    names::{QueueAddress, queue_name},
    payloads::{Offloaded, Store},
    topology,
};

pub(crate) use self::address::topic;

/// The tag of every reply queue. Its value is the name of the app.
const TAG: &str = "loafer:reply-queue";
/// The longest name of a queue (SQS API: `CreateQueue`).
const NAME: usize = 80;
/// How long a queue keeps a reply, in seconds: the minimum (SQS API: `MessageRetentionPeriod`). So a queue that a crash left behind empties
/// itself.
const KEPT: u32 = 60;
/// How long a received reply stays invisible, in seconds: as long as it is kept, so that a reply whose delete failed is not redelivered.
const HIDDEN: u32 = KEPT;
/// How long after its creation a queue may be unknown to some (SQS API: `CreateQueue`).
const SETTLING: Duration = Duration::from_secs(1);
/// How long fetching the payload of a reply from S3 may take.
const FETCH: Duration = Duration::from_secs(5);

/// A temporary queue, `APP-replies-UUID`: made at the first request of the process, deleted at its end.
///
/// It keeps replies for a minute, and is polled only while requests wait. A crash leaves the queue behind. It is empty after that minute and
/// costs nothing, but it exists until `check --delete-reply-queues` deletes it. Its tag `loafer:reply-queue` has the name of the app, if the service may tag (`sqs:TagQueue`).
pub struct SqsReplies {
    shared: Arc<Shared>,
    app: Option<String>,
    /// Locked while a queue is made, so that others wait for that one.
    queue: Mutex<Option<Queue>>,
    /// The names of queues that we started to make and that may exist. A queue that a dropped call made is deleted too.
    begun: StdMutex<Vec<String>>,
}

/// The queue, once it is made.
#[derive(Clone)]
struct Queue {
    name: Arc<str>,
    url: Arc<str>,
    /// When everybody can send to it.
    ready: Instant,
}

impl SqsReplies {
    pub(crate) fn new(shared: Arc<Shared>, app: Option<&str>) -> Self {
        Self {
            shared,
            app: app.map(str::to_owned),
            queue: Mutex::default(),
            begun: StdMutex::default(),
        }
    }

    async fn clients(&self) -> Result<&Clients, Error> {
        self.shared.clients("replies").await
    }

    fn begun(&self) -> MutexGuard<'_, Vec<String>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the queue. The first caller makes it.
    async fn queue(&self) -> Result<Queue, Error> {
        let mut queue = self.queue.lock().await;
        if let Some(queue) = &*queue {
            return Ok(queue.clone());
        }
        let clients = self.clients().await?;
        // A call that was dropped is taken up again under the same name, which is noted before the call.
        let begun = self.begun().last().cloned();
        let name = begun.unwrap_or_else(|| {
            let name = reply_queue(self.app.as_deref(), NAME);
            self.begun().push(name.clone());
            name
        });
        let call = Call::new("making the reply queue", &name, &clients.endpoint);
        let made = clients
            .sqs
            .create_queue()
            .queue_name(&name)
            .attributes(Name::MessageRetentionPeriod, KEPT.to_string())
            .attributes(Name::VisibilityTimeout, HIDDEN.to_string());
        let made = Box::pin(made.send())
            .await
            .map_err(|error| call.failed(&error))?;
        let url = made.queue_url.ok_or_else(|| call.unanswered())?;
        self.shared.homes.add(&url, &clients.endpoint);
        self.tag(clients, &url, call).await;
        tracing::info!(queue = name, "made a queue for replies");
        let made = Queue {
            name: name.into(),
            url: url.into(),
            ready: Instant::now() + SETTLING,
        };
        *queue = Some(made.clone());
        Ok(made)
    }

    /// Gives the queue the tags of the settings, and one by which queues that crashed processes left behind are found. Requests do without: the right to tag
    /// may be missing.
    async fn tag(&self, clients: &Clients, url: &str, call: Call<'_>) {
        let of_settings = clients.tags.iter();
        let of_settings = of_settings.map(|(key, value)| (key.clone(), value.clone()));
        let own = (TAG.to_owned(), self.app.clone().unwrap_or_default());
        let tag = clients.sqs.tag_queue().queue_url(url);
        let tag = tag.set_tags(Some(of_settings.chain([own]).collect()));
        if let Err(error) = Box::pin(tag.send()).await {
            let error = call.failed(&error);
            tracing::debug!(queue = call.queue, %error, "the queue for replies has no tags; allow sqs:TagQueue");
        }
    }

    /// Forgets a queue that was deleted. The next request makes another one.
    async fn lost(&self, lost: &Queue) {
        let mut queue = self.queue.lock().await;
        if queue.as_ref().is_some_and(|queue| queue.name == lost.name) {
            *queue = None;
            self.begun().retain(|name| **name != *lost.name);
        }
    }
}

impl Replies for SqsReplies {
    /// Makes the queue and waits until everybody can send to it: a second, once a process.
    async fn address(&self) -> Result<String, Error> {
        let queue = self.queue().await?;
        sleep_until(queue.ready).await;
        Ok(queue.url.to_string())
    }

    async fn receive(&self, wait: Duration, into: &mut Vec<Message>) -> Result<(), Error> {
        let queue = self.queue().await?;
        let clients = self.clients().await?;
        let call = Call::new("receiving replies", &queue.name, &clients.endpoint);
        let poll = Poll {
            max: ENTRIES,
            wait,
            ..Poll::default()
        };
        let received = match clients.receive(&queue.url, poll, call).await {
            Ok(received) => received,
            Err(not) => {
                let is_gone = matches!(not.error, Error::UnknownQueue { .. });
                if is_gone && Instant::now() > queue.ready {
                    self.lost(&queue).await;
                }
                return Err(not.error);
            }
        };
        let (replies, handles): (Vec<_>, Vec<_>) = received
            .into_iter()
            .map(|reply| message::from_sdk(reply, Folded::Left))
            .map(|reply| (reply.message, reply.handle))
            .unzip();
        if !handles.is_empty() {
            // Nobody waits for it: a reply that is left expires within a minute.
            tokio::spawn(delete(clients.clone(), queue, handles));
        }
        match &clients.payloads {
            Some(store) => {
                let fetched = join_all(replies.into_iter().map(|reply| fetch(store, reply))).await;
                into.extend(fetched.into_iter().flatten());
            }
            None => into.extend(replies),
        }
        Ok(())
    }

    async fn left_behind(&self, delete: bool) -> Vec<Finding> {
        self.old_queues(delete).await
    }

    /// Deletes the queue.
    async fn close(&self) {
        let begun = std::mem::take(&mut *self.begun());
        let made = self.queue.lock().await.take();
        for name in begun {
            let made = made.as_ref().filter(|made| *made.name == *name);
            let url = made.map(|made| made.url.to_string());
            if let Err(error) = self.remove(&name, url).await {
                tracing::warn!(queue = name, %error, "the queue for replies is left behind: it holds nothing after a minute; delete it");
            }
        }
    }
}

impl SqsReplies {
    async fn remove(&self, name: &str, url: Option<String>) -> Result<(), Error> {
        let clients = self.clients().await?;
        let call = Call::new("deleting the reply queue", name, &clients.endpoint);
        let url = match url {
            Some(url) => url,
            None => match topology::url(&clients.sqs, QueueAddress::Name(name), call).await {
                Err(Error::UnknownQueue { .. }) => return Ok(()),
                found => found?,
            },
        };
        let deleted = Box::pin(clients.sqs.delete_queue().queue_url(url).send()).await;
        match deleted.map_err(|error| call.failed(&error)) {
            Ok(_) | Err(Error::UnknownQueue { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl fmt::Debug for SqsReplies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqsReplies")
            .field("app", &self.app)
            .finish_non_exhaustive()
    }
}

async fn delete(clients: Clients, queue: Queue, handles: Vec<String>) {
    let call = Call::new("deleting replies", &queue.name, &clients.endpoint);
    let handles: Vec<_> = handles.iter().map(|handle| (0, &**handle)).collect();
    let faults = clients.delete(&queue.url, &handles, call).await;
    let error = faults.into_iter().find_map(|(_, fault)| fault.into_error());
    if let Some(error) = error {
        tracing::debug!(%error, "replies that were received could not be deleted: they expire within a minute");
    }
}

/// Returns a reply with its payload. `None` means that the payload can't be fetched.
async fn fetch(store: &Store, reply: Message) -> Option<Message> {
    let Some(offloaded) = Offloaded::of(&reply) else {
        return Some(reply);
    };
    let pointer = &offloaded.pointer;
    let payload = async { store.find(pointer).await?.read().await };
    let cause = match timeout(FETCH, payload).await {
        Ok(Ok(payload)) => {
            if store.cleans_up(&offloaded) {
                tokio::spawn(store.deletion(pointer));
            }
            return offloaded.with_payload(payload);
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {FETCH:?}"),
    };
    tracing::error!(
        message_id = %reply.id(), bucket = pointer.bucket, key = pointer.key, cause,
        "the payload of a reply is on S3 and can't be had: its request gets no reply"
    );
    None
}

/// Returns whether a topic is a reply address. There can be any number of them, each for a while.
pub(crate) fn is_reply(topic: &str) -> bool {
    let queue = topic.strip_prefix("sqs:").unwrap_or(topic);
    is_reply_queue(queue_name(queue))
}
