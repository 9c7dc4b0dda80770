//! The way out: what is published, with publisher confirms, by events, retries and dead letters.
//!
//! | module | what it is |
//! |---|---|
//! | `line` | the channel that everything is published on |
//! | `book` | what is on its way on it, and what is known of that |
//! | `alone` | sending once more what a closed channel took along |

mod alone;
mod book;
mod line;

use std::{
    iter,
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use lapin::{BasicProperties, message::BasicReturnMessage};
use loafer_core::Error;
use tokio::sync::{Semaphore, mpsc, oneshot};

use self::book::Part;
use crate::link::Link;

/// How long the broker may take to confirm what it was sent.
const CONFIRM: Duration = Duration::from_secs(15);

/// Messages of one sender that are handed over before their confirms are waited for: the client keeps a copy of each until it is written.
const WINDOW: usize = 256;

/// Payload bytes of these, at most; a single message may be larger.
const WINDOW_BYTES: usize = 4 << 20;

/// Messages of all senders that are handed over and not confirmed.
const UNCONFIRMED: usize = 2048;

/// One message, and where to.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    pub(crate) exchange: Arc<str>,
    pub(crate) routing_key: Arc<str>,
    pub(crate) properties: BasicProperties,
    pub(crate) payload: Bytes,
    /// Whether it comes back where no queue takes it.
    pub(crate) mandatory: bool,
}

impl Parcel {
    /// Whether this is what came back.
    fn is(&self, returned: &BasicReturnMessage) -> bool {
        let came = &returned.delivery;
        self.properties.message_id() == came.properties.message_id()
            && *self.exchange == *came.exchange.as_str()
            && *self.routing_key == *came.routing_key.as_str()
    }
}

/// Why a message was not published.
#[derive(Clone, Debug)]
pub(crate) enum Unsent {
    /// No queue took it.
    Unroutable,
    /// The broker would not have it, as a queue that is full.
    Refused(String),
    /// The channel was closed over it: `code`, and why.
    Closed(u16, String),
    /// It may or may not have been published.
    Unknown(String),
}

/// What became of each message.
pub(crate) type Sent = Vec<Result<(), Unsent>>;

/// The way out: one channel with confirms, opened when something is sent, and again when it was closed.
pub(crate) struct Outlet {
    pub(crate) link: Arc<Link>,
    /// To what publishes; none before the first message.
    line: Mutex<Option<mpsc::UnboundedSender<Part>>>,
    room: Arc<Semaphore>,
    /// Whether the last answer was that nothing is known, so that it is said once.
    failing: AtomicBool,
}

impl Outlet {
    pub(crate) fn new(link: Link) -> Self {
        Self {
            link: Arc::new(link),
            line: Mutex::default(),
            room: Arc::new(Semaphore::new(UNCONFIRMED)),
            failing: AtomicBool::new(false),
        }
    }

    /// Publishes messages in order, a window at once, beside those of others. One answer a message. While the broker says that it takes nothing,
    /// it is waited for.
    ///
    /// Dropped in flight, any of them may or may not have been published; the outlet is as good as before.
    pub(crate) async fn send(&self, what: &str, parcels: &Arc<[Parcel]>) -> Sent {
        let mut sent = Vec::with_capacity(parcels.len());
        for window in windows(parcels) {
            match self.window(what, parcels, window).await {
                Ok(answers) => sent.extend(answers),
                Err(unsent) => {
                    // The rest would wait for a connection as long again.
                    sent.resize_with(parcels.len(), || Err(unsent.clone()));
                    break;
                }
            }
        }
        self.tell(&sent);
        sent
    }

    /// Ends the connection.
    pub(crate) async fn close(&self) {
        self.line
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        self.link.close().await;
    }

    /// Publishes a window; an error where there is no channel to be had.
    async fn window(
        &self,
        what: &str,
        parcels: &Arc<[Parcel]>,
        range: Range<usize>,
    ) -> Result<Sent, Unsent> {
        let ended = || Unsent::Unknown("the program ended before RabbitMQ confirmed it".to_owned());
        let room = self.room.clone().acquire_many_owned(range.len() as u32);
        let (answer, answered) = oneshot::channel();
        self.hand_over(Part {
            what: what.to_owned(),
            parcels: parcels.clone(),
            range,
            answer,
            _room: room.await.map_err(|_| ended())?,
        });
        answered.await.unwrap_or_else(|_| Err(ended()))
    }

    /// Gives a part to what publishes, which is started where it does not run: before the first, or where it ran on a runtime that has ended.
    fn hand_over(&self, mut part: Part) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*line {
            match known.send(part) {
                Ok(()) => return,
                Err(mpsc::error::SendError(unsent)) => part = unsent,
            }
        }
        let (sender, parts) = mpsc::unbounded_channel();
        tokio::spawn(line::run(self.link.clone(), parts));
        _ = line.insert(sender).send(part);
    }

    /// Says once when publishing fails, and once when it goes on.
    fn tell(&self, sent: &Sent) {
        let unknown = sent.iter().find_map(|sent| match sent {
            Err(Unsent::Unknown(cause)) => Some(cause),
            _ => None,
        });
        let was = self.failing.load(Ordering::Relaxed);
        if unknown.is_some() == was {
            return;
        }
        self.failing.store(!was, Ordering::Relaxed);
        match unknown {
            Some(cause) => tracing::warn!(cause, "RabbitMQ confirms no messages"),
            None => tracing::info!("RabbitMQ confirms messages again"),
        }
    }
}

/// Cuts a batch so that what the client holds of it is bounded.
fn windows(parcels: &[Parcel]) -> impl Iterator<Item = Range<usize>> {
    let mut first = 0;
    iter::from_fn(move || {
        let mut bytes = 0;
        let fits = parcels[first..].iter().take(WINDOW).take_while(|parcel| {
            bytes += parcel.payload.len();
            bytes <= WINDOW_BYTES
        });
        let end = (first + fits.count().max(1)).min(parcels.len());
        let window = first..end;
        first = end;
        (!window.is_empty()).then_some(window)
    })
}

/// Why nothing could be sent at all.
pub(crate) fn unsent(error: &Error) -> Unsent {
    match error {
        Error::Refused { cause, .. } => Unsent::Refused(cause.clone()),
        Error::Unreachable { cause, .. } => Unsent::Unknown(cause.clone()),
        other => Unsent::Unknown(other.to_string()),
    }
}

#[cfg(test)]
mod tests;
