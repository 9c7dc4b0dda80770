//! Replies: a temporary queue of this process, made at its first request.

use std::{
    fmt,
    sync::{Arc, Mutex as StdMutex, PoisonError},
    time::Duration,
};

use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry as Entry, QueueAttributeName as Name};
use futures_util::future::join_all;
use loafer_core::{Error, Message, Replies, Topic, is_reply_queue, reply_queue};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep_until, timeout},
};

use crate::{
    config::{Clients, Shared},
    error::{Call, Place},
    message,
    payloads::{Offloaded, Store},
    queue,
};

/// The longest name of a queue (SQS API: `CreateQueue`).
const NAME: usize = 80;
/// How long a queue keeps a reply, in seconds: the least there is (SQS API: `MessageRetentionPeriod`). A queue that a crash left behind empties itself.
const KEPT: u32 = 60;
/// How long a reply stays invisible once received, in seconds: to its end, so that one whose delete failed never comes again.
const HIDDEN: u32 = KEPT;
/// How long after its making a queue may not be there for everybody yet (SQS API: `CreateQueue`).
const SETTLING: Duration = Duration::from_secs(1);
/// The longest poll (SQS API: `ReceiveMessage`).
const POLL: Duration = Duration::from_secs(20);
/// What a receive may take beyond its poll: connections die without a word.
const GRACE: Duration = Duration::from_secs(5);
/// How many messages a call can carry (SQS API).
const ENTRIES: i32 = 10;
/// How long the payload of a reply that is on S3 may take.
const FETCH: Duration = Duration::from_secs(5);

/// A temporary queue, `APP-replies-UUID`: made at the first request of the process, deleted at its end.
///
/// It keeps replies for a minute, and is polled only while requests wait. A crash leaves it behind: it holds nothing after that minute and
/// costs nothing, but is there until somebody deletes it.
pub struct SqsReplies {
    shared: Arc<Shared>,
    app: Option<String>,
    /// Held while a queue is made: who asks meanwhile waits for that one.
    queue: Mutex<Option<Queue>>,
    /// Names of queues that were begun and are not known to be gone: what a dropped call has made is deleted all the same.
    begun: StdMutex<Vec<String>>,
}

/// The queue, made.
#[derive(Clone)]
struct Queue {
    name: Arc<str>,
    url: Arc<str>,
    /// When everybody may send to it.
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

    fn begun(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The queue, made by the first who asks.
    async fn queue(&self) -> Result<Queue, Error> {
        let mut queue = self.queue.lock().await;
        if let Some(queue) = &*queue {
            return Ok(queue.clone());
        }
        let clients = self.clients().await?;
        // One that was begun and dropped is taken up again: its name is put down first.
        let begun = self.begun().last().cloned();
        let name = begun.unwrap_or_else(|| {
            let name = reply_queue(self.app.as_deref(), NAME);
            self.begun().push(name.clone());
            name
        });
        let call = calling("making the reply queue", &name, &clients.place);
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
        tracing::info!(queue = name, "made a queue for replies");
        let made = Queue {
            name: name.into(),
            url: url.into(),
            ready: Instant::now() + SETTLING,
        };
        *queue = Some(made.clone());
        Ok(made)
    }

    /// The queue is gone: the next request makes another.
    async fn lost(&self, lost: &Queue) {
        let mut queue = self.queue.lock().await;
        if queue.as_ref().is_some_and(|queue| queue.name == lost.name) {
            *queue = None;
            self.begun().retain(|name| **name != *lost.name);
        }
    }
}

impl Replies for SqsReplies {
    /// Makes the queue, and waits until everybody may send to it: a second, once a process.
    async fn address(&self) -> Result<String, Error> {
        let queue = self.queue().await?;
        sleep_until(queue.ready).await;
        Ok(queue.url.to_string())
    }

    async fn receive(&self, wait: Duration, into: &mut Vec<Message>) -> Result<(), Error> {
        let queue = self.queue().await?;
        let clients = self.clients().await?;
        let wait = wait.min(POLL);
        let call = calling("receiving replies", &queue.name, &clients.place);
        let receive = clients
            .receive
            .receive_message()
            .queue_url(&*queue.url)
            .max_number_of_messages(ENTRIES)
            .wait_time_seconds(wait.as_secs() as i32)
            .set_message_system_attribute_names(Some(message::ASKED.into()))
            .message_attribute_names("All");
        let answer = timeout(wait + GRACE, Box::pin(receive.send())).await;
        let answer = answer.map_err(|_| call.timed_out(wait + GRACE))?;
        let received = match answer.map_err(|error| call.failed(&error)) {
            Ok(answer) => answer.messages.unwrap_or_default(),
            Err(error) => {
                if matches!(error, Error::UnknownQueue { .. }) && Instant::now() > queue.ready {
                    self.lost(&queue).await;
                }
                return Err(error);
            }
        };
        let (replies, handles): (Vec<_>, Vec<_>) =
            received.into_iter().map(message::from_sdk).unzip();
        if !handles.is_empty() {
            // Nobody waits for it: what it leaves is gone within the minute.
            tokio::spawn(delete(clients.sqs.clone(), queue.url.clone(), handles));
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
        let call = calling("deleting the reply queue", name, &clients.place);
        let url = match url {
            Some(url) => url,
            None => match queue::url(&clients.sqs, name, None, call).await {
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

fn calling<'a>(what: &'static str, queue: &'a str, place: &'a Place) -> Call<'a> {
    Call {
        what,
        queue,
        route: None,
        place,
    }
}

async fn delete(client: aws_sdk_sqs::Client, url: Arc<str>, handles: Vec<String>) {
    let entry = |(id, handle): (usize, String)| {
        Entry::builder()
            .id(id.to_string())
            .receipt_handle(handle)
            .build()
    };
    let Ok(entries) = handles.into_iter().enumerate().map(entry).collect() else {
        return;
    };
    let delete = client
        .delete_message_batch()
        .queue_url(&*url)
        .set_entries(Some(entries));
    if let Err(error) = Box::pin(delete.send()).await {
        tracing::debug!(%error, "replies that were received could not be deleted: they are gone within a minute");
    }
}

/// A reply with its payload; none where that can't be had.
async fn fetch(store: &Store, reply: Message) -> Option<Message> {
    let Some(offloaded) = Offloaded::of(&reply) else {
        return Some(reply);
    };
    let pointer = &offloaded.pointer;
    let cause = match timeout(FETCH, store.get(pointer)).await {
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

/// The topic of a reply, at an address that somebody's request named.
///
/// It is the URL of a queue, and of one that is a reply queue by its name. Requests are signed for, and sent to, the endpoint of this service
/// or that of AWS in the region which the URL names: the host as such is never called.
pub(crate) fn topic(address: &str) -> Result<Topic, Error> {
    if is_address(address) {
        Ok(Topic::from(format!("sqs:{address}")))
    } else {
        Err(Error::Config(
            "the header `reply-to` is not the URL of a reply queue on SQS, as https://sqs.REGION.amazonaws.com/ACCOUNT/NAME-replies-UUID".to_owned(),
        ))
    }
}

fn is_address(address: &str) -> bool {
    let url = address
        .strip_prefix("https://")
        .or_else(|| address.strip_prefix("http://"));
    let mut parts = url.unwrap_or_default().split('/');
    let (host, account, name) = (parts.next(), parts.next(), parts.next());
    let plain = |text: &str, also: &[u8]| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || also.contains(&byte))
    };
    parts.next().is_none()
        && host.is_some_and(|host| plain(host, b".-:"))
        && account.is_some_and(|account| {
            !account.is_empty() && account.bytes().all(|byte| byte.is_ascii_digit())
        })
        && name.is_some_and(|name| name.len() <= NAME && plain(name, b"-_") && is_reply_queue(name))
}

/// Whether a topic is a reply address: there may be any number of them, each for a while.
pub(crate) fn is_reply(topic: &str) -> bool {
    is_reply_queue(queue::name(topic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_queue_by_its_url_is_an_address_and_nothing_else_is() {
        let name = reply_queue(Some("friends"), NAME);
        for host in [
            "https://sqs.eu-west-1.amazonaws.com",
            "https://sqs.cn-north-1.amazonaws.com.cn",
            "http://127.0.0.1:9324",
            "http://sqs.us-east-1.localhost:4566",
        ] {
            let url = format!("{host}/000000000000/{name}");
            assert_eq!(topic(&url).unwrap().as_str(), format!("sqs:{url}"));
        }
        for address in [
            name.clone(),
            format!("sqs:{name}"),
            format!("arn:aws:sqs:eu-west-1:1:{name}"),
            "https://sqs.eu-west-1.amazonaws.com/1/orders".to_owned(),
            format!("https://sqs.eu-west-1.amazonaws.com/1/2/{name}"),
            format!("https://sqs.eu-west-1.amazonaws.com/{name}"),
            format!("https://sqs.eu-west-1.amazonaws.com/me/{name}"),
            format!("https://a:b@sqs.eu-west-1.amazonaws.com/1/{name}"),
            format!("https://sqs.eu-west-1.amazonaws.com/1/orders?{name}"),
            format!("https://sqs.eu-west-1.amazonaws.com/1/orders#{name}"),
            format!("https:///1/{name}"),
            String::new(),
        ] {
            let error = topic(&address).map(|topic| topic.to_string()).unwrap_err();
            assert!(error.to_string().contains("reply-to"), "{address}");
        }
    }
}
