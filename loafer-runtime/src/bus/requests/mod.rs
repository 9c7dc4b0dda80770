//! The requests of a service that wait for their replies.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use tokio::{sync::oneshot, task::AbortHandle, time::sleep};

use crate::bus::erased::SharedReplies;
use loafer_core::{
    Error,
    broker::{Pauses, REQUEST_ID, Topic},
    message::{Message, MessageId},
};

/// How many requests of a service can wait at once.
const MOST: usize = 10_000;
/// How long one receive of replies waits. Brokers may make it shorter.
const POLL: Duration = Duration::from_secs(20);

/// The requests of one app that wait for their replies, and where those replies arrive.
#[derive(Default)]
pub(crate) struct Requests {
    /// Set once the routes are open. The error says why there are no replies.
    replies: OnceLock<Result<SharedReplies, String>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: HashMap<MessageId, oneshot::Sender<Message>>,
    /// The task that receives replies. It exists only while a request waits.
    reader: Option<AbortHandle>,
    closed: bool,
}

impl Requests {
    /// Sets where replies arrive. Only a program that starts one app twice connects twice: the first stays.
    pub(crate) fn connect(&self, replies: Result<SharedReplies, Error>) {
        _ = self.replies.set(replies.map_err(|error| error.to_string()));
    }

    /// Returns the app's replies, or why there are none.
    pub(super) fn replies(&self, topic: &Topic) -> Result<&SharedReplies, Error> {
        match self.replies.get() {
            Some(Ok(replies)) => Ok(replies),
            Some(Err(cause)) => Err(Error::Config(format!(
                "a request to `{topic}` can't be sent: {cause}"
            ))),
            None => Err(Error::Start(format!(
                "a request to `{topic}` can't be sent yet: the app has not started; send it from a handler or `on_started`, and in a unit test by a bus of `loafer::testing::bus()`"
            ))),
        }
    }

    /// Registers a request as waiting, and makes sure that replies are received. Dropping the returned value forgets the request.
    pub(super) fn wait(
        self: &Arc<Self>,
        id: &MessageId,
        topic: &Topic,
    ) -> Result<Waiting<'_>, Error> {
        let Some(Ok(replies)) = self.replies.get() else {
            return Err(stopped(topic));
        };
        let mut state = self.state();
        if state.closed {
            return Err(stopped(topic));
        }
        if state.waiting.len() >= MOST {
            return Err(Error::Refused {
                what: "a request",
                queue: topic.to_string(),
                cause: format!(
                    "{MOST} requests already wait for replies: send fewer at once, or give them shorter timeouts"
                ),
                source: None,
            });
        }
        let (reply, receiver) = oneshot::channel();
        state.waiting.insert(id.clone(), reply);
        if state.reader.is_none() {
            let reading = Reading {
                requests: self.clone(),
                over: false,
            };
            let reader = tokio::spawn(read(reading, replies.clone()));
            state.reader = Some(reader.abort_handle());
        }
        Ok(Waiting {
            requests: self,
            id: id.clone(),
            reply: receiver,
        })
    }

    /// Hands a reply that arrived to its request.
    fn arrived(&self, reply: Message) {
        let id = reply.headers().get(REQUEST_ID).map(MessageId::from);
        let waiting = id
            .as_ref()
            .and_then(|id| self.state().waiting.remove(id))
            .map(|waiting| waiting.send(reply));
        // It was a second reply, or it came too late.
        if !matches!(waiting, Some(Ok(()))) {
            tracing::debug!(request_id = ?id, "a reply for which nobody waits was dropped");
        }
    }

    /// Ends every request that still waits, with an error, and removes the address.
    pub(crate) async fn close(&self) {
        let reader = {
            let mut state = self.state();
            if std::mem::replace(&mut state.closed, true) {
                return;
            }
            state.waiting.clear();
            state.reader.take()
        };
        if let Some(reader) = reader {
            reader.abort();
        }
        if let Some(Ok(replies)) = self.replies.get() {
            replies.close().await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stopped(topic: &Topic) -> Error {
    Error::Unreachable {
        what: "a request",
        queue: topic.to_string(),
        cause: "the service has stopped, and waits for no reply any more".to_owned(),
        source: None,
    }
}

/// A request that waits for its reply.
pub(super) struct Waiting<'r> {
    requests: &'r Requests,
    id: MessageId,
    reply: oneshot::Receiver<Message>,
}

impl Waiting<'_> {
    /// Waits for the reply. If the service stops first, returns an error.
    pub(super) async fn reply(&mut self, topic: &Topic) -> Result<Message, Error> {
        (&mut self.reply).await.map_err(|_| stopped(topic))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.requests.state().waiting.remove(&self.id);
    }
}

/// The task that receives replies. There is one at most.
struct Reading {
    requests: Arc<Requests>,
    /// The task has already registered that it ends.
    over: bool,
}

impl Reading {
    /// Whether no request waits any more. The next request then starts another task.
    fn is_over(&mut self) -> bool {
        let mut state = self.requests.state();
        self.over = state.waiting.is_empty() || state.closed;
        if self.over {
            state.reader = None;
        }
        self.over
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        // A broker that panicked must not leave all further requests without replies.
        if !self.over {
            self.requests.state().reader = None;
        }
    }
}

async fn read(mut reading: Reading, replies: SharedReplies) {
    let mut pauses = None;
    loop {
        match replies.receive(POLL).await {
            Ok(received) => {
                if pauses.take().is_some() {
                    tracing::info!("receiving replies again");
                }
                for reply in received {
                    reading.requests.arrived(reply);
                }
            }
            Err(error) => {
                if pauses.is_none() {
                    tracing::warn!(%error, "receiving replies failed: trying again while requests wait");
                }
                let pause = pauses.get_or_insert_with(self::pauses).next();
                sleep(pause.unwrap_or_default()).await;
            }
        }
        if reading.is_over() {
            return;
        }
    }
}

fn pauses() -> impl Iterator<Item = Duration> {
    Pauses::new(Duration::from_millis(100))
        .longest(Duration::from_secs(10))
        .iter()
}

#[cfg(test)]
mod tests;
