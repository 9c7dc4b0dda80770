//! The connections to RabbitMQ: [`Link`] is one of them, made again when it breaks.
//!
//! | module | what it is |
//! |---|---|
//! | `config` | the configuration of one RabbitMQ |
//! | `section` | its section of `loafer.toml` |
//! | `identity` | whose connections they are |
//! | `address` | one address, as it is written |
//! | `hosts` | the addresses of a cluster |
//! | `password` | a password that changes |
//! | `tls` | certificates: what a connection trusts, and what it shows |
//! | `stream` | what the client reads from and writes to |
//! | `frames` | frames that the client can't read, made readable |

mod address;
pub(crate) mod config;
mod frames;
pub(crate) mod hosts;
pub(crate) mod identity;
pub(crate) mod password;
mod section;
mod stream;
pub(crate) mod tls;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use futures_util::StreamExt;
use lapin::{Channel, Connection, Event};
use loafer_core::Error;
use tokio::{
    sync::{Mutex, watch},
    time::timeout,
};

use self::{
    frames::{ChannelQueues, Frames},
    hosts::Hosts,
    identity::Identity,
};
use crate::error::{self, refused};

/// How long RabbitMQ may take for one answer.
pub(crate) const ANSWER: Duration = Duration::from_secs(10);

/// The largest frame in bytes before a connection has agreed on one: RabbitMQ's default (`frame_max`).
const FRAME_MAX: usize = 128 * 1024;

/// A connection that was made.
pub(crate) struct Connected {
    connection: Connection,
    /// What its channels are for.
    queues: ChannelQueues,
    /// The password that it logged in with, if that may change.
    password: Option<String>,
}

impl Connected {
    async fn channel(&self, queue: &str) -> lapin::Result<Channel> {
        let channel = self.connection.create_channel().await?;
        self.queues.opened(channel.id(), queue);
        Ok(channel)
    }
}

/// One connection to RabbitMQ, made when it is first asked for, and again after it broke. The caller decides how often to try.
pub(crate) struct Link {
    /// What the connection is for, as RabbitMQ's management page shows it.
    purpose: &'static str,
    hosts: Arc<Hosts>,
    /// `None` until the first call, after the connection was given up, and after `close`. It may hold a connection that is broken.
    connection: Mutex<Option<Arc<Connected>>>,
    /// Set by `close`: no connection is made after that.
    closed: AtomicBool,
    /// The number of the connection, counted from 1. It only grows, and only under the lock of `connection`.
    epoch: Arc<AtomicU64>,
    /// The largest frame in bytes that the last connection agreed on.
    frame_max: AtomicUsize,
    /// The reason RabbitMQ gave for taking no messages. `None` means that it takes them.
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

    /// Lets the runtime of the caller drive the connections of this RabbitMQ.
    pub(crate) fn stay_here(&self) {
        self.hosts.stay_here();
    }

    /// Opens a channel. Connects first if there is no connection.
    pub(crate) async fn channel(&self, what: &'static str, queue: &str) -> Result<Channel, Error> {
        let connection = self.connection(what, queue).await?;
        let failed = match timed(what, queue, connection.channel(queue)).await? {
            Ok(channel) => return Ok(channel),
            Err(failed) => failed,
        };
        if error::code(&failed).is_none() || failed.is_amqp_hard_error() {
            return Err(error::unreachable(what, queue, failed));
        }
        // The client remembers why each channel number was closed, and reports that to the next channel of the same number. When channels were
        // closed so often that the numbers start over, this connection opens no more of them. Its open channels go on.
        self.give_up(&connection).await;
        let connection = self.connection(what, queue).await?;
        answered(what, queue, connection.channel(queue)).await
    }

    /// Opens no more channels on this connection. It ends with the last of its open channels.
    async fn give_up(&self, connection: &Arc<Connected>) {
        let mut known = self.connection.lock().await;
        if known
            .as_ref()
            .is_some_and(|known| Arc::ptr_eq(known, connection))
        {
            *known = None;
        }
    }

    async fn connection(&self, what: &'static str, queue: &str) -> Result<Arc<Connected>, Error> {
        let mut known = self.connection.lock().await;
        if let Some(known) = &*known
            && known.connection.status().connected()
        {
            return Ok(known.clone());
        }
        if self.closed.load(Ordering::Acquire) {
            return Err(refused(what, queue, "the connection was closed at the end"));
        }
        let made = Arc::new(self.hosts.connect(self.purpose, what, queue).await?);
        let epoch = self.epoch.fetch_add(1, Ordering::AcqRel) + 1;
        let frame_max = usize::try_from(made.connection.configuration().frame_max());
        self.frame_max
            .store(frame_max.unwrap_or(FRAME_MAX), Ordering::Relaxed);
        self.blocked.send_replace(None);
        self.watch(&made, epoch);
        self.hosts.keep_password(&made, self.purpose);
        Ok(known.insert(made).clone())
    }

    /// Notes when RabbitMQ stops taking messages, and when it takes them again.
    fn watch(&self, made: &Arc<Connected>, epoch: u64) {
        let mut events = Box::pin(made.connection.events_listener());
        let made = Arc::downgrade(made);
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
                    // Errors of channels arrive here, too, and leave the connection as it is.
                    Event::Error(_) => {
                        let alive = made.upgrade();
                        if alive.is_none_or(|made| !made.connection.status().connected()) {
                            break;
                        }
                    }
                    _ => {}
                }
            }
            // The next connection may be blocked by now.
            if current.load(Ordering::Acquire) == epoch {
                blocked.send_replace(None);
            }
        });
    }

    /// Returns whose connection it is.
    pub(crate) fn identity(&self) -> &Identity {
        self.hosts.identity()
    }

    /// Returns whether RabbitMQ takes no messages on this connection.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked.borrow().is_some()
    }

    /// Waits while RabbitMQ takes no messages.
    pub(crate) async fn unblocked(&self) {
        if self.is_blocked() {
            // `self` owns the sender, so waiting can't fail.
            _ = self.blocked.subscribe().wait_for(Option::is_none).await;
        }
    }

    /// Returns the number of the connection. What was declared on one connection may not exist on the next.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Returns the largest frame in bytes.
    pub(crate) fn frame_max(&self) -> usize {
        self.frame_max.load(Ordering::Relaxed)
    }

    /// Ends the connection, after all that was written on it. Later calls make no new one.
    pub(crate) async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let made = self.connection.lock().await.take();
        if let Some(made) = made {
            let closed = made.connection.close(200, "OK".into());
            _ = timeout(ANSWER, closed).await;
        }
    }
}

/// Reads an address as those of the configuration are read.
///
/// # Errors
///
/// What is wrong with it, without a word of it.
pub fn read_address(text: &str) -> Result<(), String> {
    address::parse(text).map(drop)
}

/// Returns what the client gets to read of what RabbitMQ sent.
pub fn readable(mut sent: &[u8]) -> Vec<u8> {
    let mut frames = Frames::new(ChannelQueues::default());
    let mut read = Vec::new();
    let mut buffer = [0; 64];
    // It may hold more than a buffer.
    while let Poll::Ready(Ok(count @ 1..)) = frames.read(&mut buffer, |into| {
        Poll::Ready(io::Read::read(&mut sent, into))
    }) {
        read.extend_from_slice(&buffer[..count]);
    }
    read
}

/// Waits for RabbitMQ's answer, but no longer than [`ANSWER`].
pub(crate) async fn answered<T>(
    what: &'static str,
    queue: &str,
    call: impl Future<Output = lapin::Result<T>>,
) -> Result<T, Error> {
    let answer = timed(what, queue, call).await?;
    answer.map_err(|failed| error::unreachable(what, queue, failed))
}

/// Waits like [`answered`], and returns RabbitMQ's refusal for the caller to judge.
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

/// Closes a channel that was opened for one call. A call that RabbitMQ refuses closes its channel by itself.
pub(crate) async fn close(channel: &Channel) {
    _ = timeout(ANSWER, channel.close(200, "OK".into())).await;
}
