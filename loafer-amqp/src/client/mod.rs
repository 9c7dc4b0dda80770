//! One connection to the broker, made again when it breaks.

pub(crate) mod hosts;
pub(crate) mod section;
pub(crate) mod tls;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt;
use lapin::{Channel, Connection, Event};
use loafer_core::Error;
use tokio::{
    sync::{Mutex, watch},
    time::timeout,
};

use crate::{
    client::hosts::Hosts,
    error::{self, refused},
};

/// How long one answer of the broker may take.
pub(crate) const ANSWER: Duration = Duration::from_secs(10);

/// The largest frame, where no connection has said another: RabbitMQ's default (`frame_max`).
const FRAME_MAX: usize = 128 * 1024;

/// One connection to the broker, made when it is first asked for and again when it broke. Who asks decides how often.
pub(crate) struct Link {
    /// What it is for, as the broker's own pages show it.
    purpose: &'static str,
    hosts: Arc<Hosts>,
    connection: Mutex<Option<Arc<Connection>>>,
    /// Whether it came to its end.
    closed: AtomicBool,
    /// Which connection this is: counted up from 1.
    epoch: Arc<AtomicU64>,
    /// The largest frame that was agreed upon.
    frame_max: AtomicUsize,
    /// Why the broker takes no messages, where it says so.
    blocked: watch::Sender<Option<String>>,
}

impl Link {
    pub(crate) fn new(purpose: &'static str, hosts: Arc<Hosts>) -> Self {
        Self {
            purpose,
            hosts,
            connection: Mutex::default(),
            closed: AtomicBool::new(false),
            epoch: Arc::default(),
            frame_max: AtomicUsize::new(FRAME_MAX),
            blocked: watch::Sender::new(None),
        }
    }

    /// A new channel, on a connection that is made where there is none.
    pub(crate) async fn channel(&self, what: &'static str, queue: &str) -> Result<Channel, Error> {
        let connection = self.connection(what, queue).await?;
        let failed = match timed(what, queue, connection.create_channel()).await? {
            Ok(channel) => return Ok(channel),
            Err(failed) => failed,
        };
        if error::code(&failed).is_none() || failed.is_amqp_hard_error() {
            return Err(error::unreachable(what, queue, failed));
        }
        // The client remembers why channels were closed, and tells it of the next one of that number: numbers have run out once. The channels
        // that are open go on, and with the last of them the connection ends.
        self.leave(&connection).await;
        let connection = self.connection(what, queue).await?;
        answered(what, queue, connection.create_channel()).await
    }

    /// Opens no more channels on this connection.
    async fn leave(&self, connection: &Arc<Connection>) {
        let mut known = self.connection.lock().await;
        if known
            .as_ref()
            .is_some_and(|known| Arc::ptr_eq(known, connection))
        {
            *known = None;
        }
    }

    async fn connection(&self, what: &'static str, queue: &str) -> Result<Arc<Connection>, Error> {
        let mut known = self.connection.lock().await;
        if let Some(connection) = known.as_ref().filter(|known| known.status().connected()) {
            return Ok(connection.clone());
        }
        if self.closed.load(Ordering::Acquire) {
            return Err(refused(what, queue, "the connection was closed at the end"));
        }
        let connection = Arc::new(self.hosts.connect(self.purpose, what, queue).await?);
        let epoch = self.epoch.fetch_add(1, Ordering::AcqRel) + 1;
        let frame_max = usize::try_from(connection.configuration().frame_max());
        self.frame_max
            .store(frame_max.unwrap_or(FRAME_MAX), Ordering::Relaxed);
        self.blocked.send_replace(None);
        self.watch(&connection, epoch);
        Ok(known.insert(connection).clone())
    }

    /// Notes when the broker takes no messages for a while.
    fn watch(&self, connection: &Arc<Connection>, epoch: u64) {
        let mut events = Box::pin(connection.events_listener());
        let connection = Arc::downgrade(connection);
        let blocked = self.blocked.clone();
        let purpose = self.purpose;
        let current = self.epoch.clone();
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                match event {
                    Event::ConnectionBlocked(reason) => {
                        tracing::warn!(
                            connection = purpose,
                            reason,
                            "RabbitMQ is short of memory or disk and takes no messages: publishing waits"
                        );
                        blocked.send_replace(Some(reason));
                    }
                    Event::ConnectionUnblocked => {
                        tracing::info!(connection = purpose, "RabbitMQ takes messages again");
                        blocked.send_replace(None);
                    }
                    // Told of channels, too: the connection may be as good as before.
                    Event::Error(_) => {
                        let alive = connection.upgrade();
                        if alive.is_none_or(|connection| !connection.status().connected()) {
                            break;
                        }
                    }
                    _ => {}
                }
            }
            // Another connection may be blocked by now.
            if current.load(Ordering::Acquire) == epoch {
                blocked.send_replace(None);
            }
        });
    }

    /// Whether the broker says that it takes no messages on it.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked.borrow().is_some()
    }

    /// Waits while the broker takes no messages.
    pub(crate) async fn unblocked(&self) {
        if self.is_blocked() {
            // The sender is here: it can't be gone.
            _ = self.blocked.subscribe().wait_for(Option::is_none).await;
        }
    }

    /// Which connection this is: what was declared on one may be unknown on the next.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// The largest frame, in bytes.
    pub(crate) fn frame_max(&self) -> usize {
        self.frame_max.load(Ordering::Relaxed)
    }

    /// Ends the connection, after all that was written on it. None is made any more.
    pub(crate) async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let connection = self.connection.lock().await.take();
        if let Some(connection) = connection {
            _ = timeout(ANSWER, connection.close(200, "OK".into())).await;
        }
    }
}

/// Waits for an answer, but not for ever.
pub(crate) async fn answered<T>(
    what: &'static str,
    queue: &str,
    call: impl Future<Output = lapin::Result<T>>,
) -> Result<T, Error> {
    let answer = timed(what, queue, call).await?;
    answer.map_err(|failed| error::unreachable(what, queue, failed))
}

/// The same where a refusal is an answer, too.
pub(crate) async fn timed<T>(
    what: &'static str,
    queue: &str,
    call: impl Future<Output = lapin::Result<T>>,
) -> Result<lapin::Result<T>, Error> {
    timeout(ANSWER, call).await.map_err(|_| Error::Timeout {
        what,
        queue: queue.to_owned(),
        after: ANSWER,
    })
}
