//! Publish channels: channels with publisher confirms, for events, retries and dead letters. Only RabbitMQ confirms by channel.
//!
//! | module | what it is |
//! |---|---|
//! | `pool` | channels with confirms, each used by one window at a time |
//! | `combine` | messages that are published to one address at the same time go out together |

mod combine;
mod pool;

use std::{
    iter,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use loafer_core::Error;
use tokio::sync::oneshot;

use self::{
    combine::{Combiner, Part},
    pool::Pool,
};
use crate::{client::Link, outgoing::Entry};

/// How many messages are handed to the client before their confirms are waited for. It keeps a copy of each until it is written.
pub(super) const WINDOW: usize = 256;

/// How many payload bytes these have at most. A single message may be larger.
const WINDOW_BYTES: usize = 4 << 20;

/// Why a message was not published.
#[derive(Clone, Debug)]
pub(crate) enum Unsent {
    /// No queue took it.
    Unroutable,
    /// RabbitMQ refused it, for example because a queue is full.
    Refused(String),
    /// RabbitMQ closed the channel because of it: the reply code, and why.
    Closed(u16, String),
    /// It may or may not have been published.
    Unknown(String),
}

/// What became of each message, in order.
pub(crate) type Answers = Vec<Result<(), Unsent>>;

/// The publish channels of one broker, opened as they are needed, and kept.
pub(crate) struct PublishChannels {
    pub(crate) link: Arc<Link>,
    pool: Arc<Pool>,
    combiner: Arc<Combiner>,
    /// Whether the last answer was `Unknown`, so that a failure is logged once.
    failing: AtomicBool,
}

impl PublishChannels {
    pub(crate) fn new(link: Link) -> Self {
        let link = Arc::new(link);
        Self {
            pool: Arc::new(Pool::new(link.clone())),
            link,
            combiner: Arc::default(),
            failing: AtomicBool::new(false),
        }
    }

    /// Publishes messages in order, a window at a time, together with what others publish to the same address meanwhile. Returns one answer a message.
    /// While RabbitMQ takes nothing, it waits.
    ///
    /// If the future is dropped, any of the messages may or may not have been published. The channels work as before.
    pub(crate) async fn publish(&self, what: &str, entries: &Arc<[Entry]>) -> Answers {
        let mut sent = Vec::with_capacity(entries.len());
        for window in windows(entries) {
            match self.window(what, entries, window).await {
                Ok(answers) => sent.extend(answers),
                Err(unsent) => {
                    // The rest would wait for a connection just as long.
                    sent.resize_with(entries.len(), || Err(unsent.clone()));
                    break;
                }
            }
        }
        self.report(&sent);
        sent
    }

    /// Returns how long RabbitMQ took for its last confirms. Zero means that there were none yet.
    pub(crate) fn confirmed_in(&self) -> Duration {
        self.pool.confirmed_in()
    }

    /// Ends the connection.
    pub(crate) async fn close(&self) {
        self.pool.idle().clear();
        self.link.close().await;
    }

    async fn window(
        &self,
        what: &str,
        entries: &Arc<[Entry]>,
        range: Range<usize>,
    ) -> Result<Answers, Unsent> {
        let window = &entries[range.clone()];
        if !to_one_address(window) {
            let window: Vec<&Entry> = window.iter().collect();
            return self.pool.publish(what, &window).await;
        }
        let (answer, answered) = oneshot::channel();
        let part = Part {
            what: what.to_owned(),
            entries: entries.clone(),
            range,
            answer,
        };
        self.combiner.add(&self.pool, part);
        answered.await.unwrap_or_else(|_| {
            let cause = "what published it broke off, or the program is ending";
            Err(Unsent::Unknown(cause.to_owned()))
        })
    }

    /// Logs once when publishing begins to fail, and once when it works again.
    fn report(&self, sent: &Answers) {
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

fn to_one_address(entries: &[Entry]) -> bool {
    let same = |pair: &[Entry]| {
        pair[0].exchange == pair[1].exchange && pair[0].routing_key == pair[1].routing_key
    };
    entries.windows(2).all(same)
}

/// Cuts a batch into windows, which bounds what the client keeps of it.
fn windows(entries: &[Entry]) -> impl Iterator<Item = Range<usize>> {
    let mut first = 0;
    iter::from_fn(move || {
        let mut bytes = 0;
        let fits = entries[first..].iter().take(WINDOW).take_while(|entry| {
            bytes += entry.payload.len();
            bytes <= WINDOW_BYTES
        });
        let end = (first + fits.count().max(1)).min(entries.len());
        let window = first..end;
        first = end;
        (!window.is_empty()).then_some(window)
    })
}

/// Returns why nothing could be published at all.
pub(crate) fn unsent(error: &Error) -> Unsent {
    match error {
        Error::Refused { cause, .. } => Unsent::Refused(cause.clone()),
        Error::Unreachable { cause, .. } => Unsent::Unknown(cause.clone()),
        other => Unsent::Unknown(other.to_string()),
    }
}

#[cfg(test)]
mod tests;
