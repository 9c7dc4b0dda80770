//! The way out: what is published, with publisher confirms, by events, retries and dead letters.
//!
//! | module | what it is |
//! |---|---|
//! | `pool` | channels with confirms, each used by one window at a time |
//! | `combine` | what is sent to one place at the same time goes out together |

mod combine;
mod pool;

use std::{
    iter,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use lapin::BasicProperties;
use loafer_core::Error;
use tokio::sync::oneshot;

use self::{
    combine::{Gathering, Part},
    pool::Channels,
};
use crate::client::Link;

/// Messages handed over before their confirms are waited for: the client keeps a copy of each until it is written.
const WINDOW: usize = 256;

/// Payload bytes of these, at most; a single message may be larger.
const WINDOW_BYTES: usize = 4 << 20;

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

/// The way out: channels with confirms, opened as they are needed, and kept.
pub(crate) struct Outlet {
    pub(crate) link: Arc<Link>,
    channels: Arc<Channels>,
    gathering: Arc<Gathering>,
    /// Whether the last answer was that nothing is known, so that it is said once.
    failing: AtomicBool,
}

impl Outlet {
    pub(crate) fn new(link: Link) -> Self {
        let link = Arc::new(link);
        Self {
            channels: Arc::new(Channels::new(link.clone())),
            link,
            gathering: Arc::default(),
            failing: AtomicBool::new(false),
        }
    }

    /// Publishes messages in order, a window at once, together with what others send to the same place meanwhile. One answer a message. While the
    /// broker says that it takes nothing, it is waited for.
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
        self.channels.idle().clear();
        self.link.close().await;
    }

    async fn window(
        &self,
        what: &str,
        parcels: &Arc<[Parcel]>,
        range: Range<usize>,
    ) -> Result<Sent, Unsent> {
        let window = &parcels[range.clone()];
        if !to_one_place(window) {
            let window: Vec<&Parcel> = window.iter().collect();
            return self.channels.publish(what, &window).await;
        }
        let (answer, answered) = oneshot::channel();
        let part = Part {
            what: what.to_owned(),
            parcels: parcels.clone(),
            range,
            answer,
        };
        self.gathering.add(&self.channels, part);
        answered.await.unwrap_or_else(|_| {
            let cause = "what published it broke off, or the program is ending";
            Err(Unsent::Unknown(cause.to_owned()))
        })
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

fn to_one_place(parcels: &[Parcel]) -> bool {
    let same = |pair: &[Parcel]| {
        pair[0].exchange == pair[1].exchange && pair[0].routing_key == pair[1].routing_key
    };
    parcels.windows(2).all(same)
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
