//! The way out: channels with publisher confirms, for events, retries and dead letters.

use std::{
    iter, slice,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use lapin::{
    BasicProperties, Channel, Confirmation,
    message::BasicReturnMessage,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use loafer_core::Error;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use crate::{
    error::{self, cause, code, refused},
    link::{Link, answered},
};

/// How long the broker may go without confirming any of what it was sent.
const CONFIRM: Duration = Duration::from_secs(15);

/// Messages handed over before their confirms are waited for: the client keeps a copy of each until it is written.
const WINDOW: usize = 256;

/// Payload bytes of these, at most; a single message may be larger.
const WINDOW_BYTES: usize = 4 << 20;

/// Channels in use at once. Whoever publishes has one of its own: what one says wrong on it closes nobody else's.
const CHANNELS: usize = 64;

/// One message, and where to.
#[derive(Clone, Debug)]
pub(crate) struct Parcel<'p> {
    pub(crate) exchange: &'p str,
    pub(crate) routing_key: &'p str,
    pub(crate) properties: BasicProperties,
    pub(crate) payload: &'p [u8],
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
    pub(crate) link: Link,
    /// Channels that nobody publishes on at the moment.
    idle: Mutex<Vec<Channel>>,
    turns: Semaphore,
    /// Whether the last answer was that nothing is known, so that it is said once.
    failing: AtomicBool,
}

/// A channel for one at a time. Only when all it was used for was answered is it used again: dropped before, it is closed, since what it
/// still confirms would be taken for something else's.
struct Turn<'o> {
    outlet: &'o Outlet,
    channel: Channel,
    _permit: SemaphorePermit<'o>,
}

impl Turn<'_> {
    fn give_back(self) {
        if self.channel.status().connected() {
            self.outlet.idle().push(self.channel);
        }
    }
}

impl Outlet {
    pub(crate) fn new(link: Link) -> Self {
        Self {
            link,
            idle: Mutex::default(),
            turns: Semaphore::new(CHANNELS),
            failing: AtomicBool::new(false),
        }
    }

    /// Publishes messages in order, a window at once: all frames of it are handed over before the first answer is waited for. One answer a
    /// message. While the broker says that it takes nothing, it is waited for.
    ///
    /// Dropped in flight, any of them may or may not have been published; the outlet is as good as before.
    pub(crate) async fn send(&self, what: &str, parcels: &[Parcel<'_>]) -> Sent {
        let mut sent = Vec::with_capacity(parcels.len());
        for window in windows(parcels) {
            match self.window(what, window).await {
                Ok(mut answers) => {
                    self.alone(what, window, &mut answers).await;
                    sent.extend(answers);
                }
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
        self.idle().clear();
        self.link.close().await;
    }

    /// Publishes a window on one channel; an error where there is none to be had.
    async fn window(&self, what: &str, parcels: &[Parcel<'_>]) -> Result<Sent, Unsent> {
        self.link.unblocked().await;
        let turn = self.turn(what).await.map_err(|error| unsent(&error))?;
        let mut answers: Vec<_> = parcels.iter().map(|_| None).collect();
        let mut returned = Vec::new();
        {
            let handed_over = parcels.iter().enumerate();
            let mut handed_over = handed_over
                .map(|(at, parcel)| hand_over(&turn.channel, at, parcel))
                .collect::<FuturesUnordered<_>>();
            loop {
                match timeout(CONFIRM, handed_over.next()).await {
                    Ok(Some((at, confirmed))) => answers[at] = Some(said(confirmed, &mut returned)),
                    Ok(None) => break,
                    Err(_) if self.link.is_blocked() => {}
                    Err(_) => break,
                }
            }
        }
        if answers.iter().all(Option::is_some) {
            turn.give_back();
        }
        let late = || {
            Err(Unsent::Unknown(format!(
                "RabbitMQ did not confirm it within {CONFIRM:?}"
            )))
        };
        let mut answers: Sent = answers
            .into_iter()
            .map(|answer| answer.unwrap_or_else(late))
            .collect();
        for returned in returned {
            unroutable(&returned, parcels, &mut answers);
        }
        Ok(answers)
    }

    /// What closed a channel took its neighbours along: each is sent once more, alone, so that only that one is told.
    async fn alone(&self, what: &str, parcels: &[Parcel<'_>], answers: &mut [Result<(), Unsent>]) {
        let closed: Vec<(usize, u16)> = answers
            .iter()
            .enumerate()
            .filter_map(|(at, answer)| match answer {
                Err(Unsent::Closed(code, _)) => Some((at, *code)),
                _ => None,
            })
            .collect();
        let [(first, code), _, ..] = closed[..] else {
            return;
        };
        // An exchange that is not there, or not ours to publish to, is so for all of them.
        let exchange = parcels[first].exchange;
        if matches!(code, error::NOT_FOUND | error::ACCESS_REFUSED)
            && closed
                .iter()
                .all(|&(at, _)| parcels[at].exchange == exchange)
        {
            return;
        }
        for (at, _) in closed {
            let alone = self.window(what, slice::from_ref(&parcels[at])).await;
            answers[at] = alone.map_or_else(Err, |mut alone| alone.pop().unwrap_or(Ok(())));
        }
    }

    async fn turn(&self, what: &str) -> Result<Turn<'_>, Error> {
        let permit = self.turns.acquire().await;
        let permit = permit.map_err(|_| refused("publishing", what, "the outlet is closed"))?;
        let channel = match self.known() {
            Some(channel) => channel,
            None => {
                let channel = self.link.channel("publishing", what).await?;
                let selected = channel.confirm_select(ConfirmSelectOptions::default());
                answered("publishing", what, selected).await?;
                channel
            }
        };
        Ok(Turn {
            outlet: self,
            channel,
            _permit: permit,
        })
    }

    /// A channel that is open already, the one used last.
    fn known(&self) -> Option<Channel> {
        let mut idle = self.idle();
        iter::from_fn(|| idle.pop()).find(|channel| channel.status().connected())
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Channel>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
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
fn windows<'p, 'b>(mut parcels: &'p [Parcel<'b>]) -> impl Iterator<Item = &'p [Parcel<'b>]> {
    iter::from_fn(move || {
        let mut bytes = 0;
        let fits = parcels.iter().take(WINDOW).take_while(|parcel| {
            bytes += parcel.payload.len();
            bytes <= WINDOW_BYTES
        });
        let count = fits.count().max(1);
        let (window, rest) = parcels.split_at_checked(count)?;
        parcels = rest;
        Some(window)
    })
}

async fn hand_over(
    channel: &Channel,
    at: usize,
    parcel: &Parcel<'_>,
) -> (usize, lapin::Result<Confirmation>) {
    let options = BasicPublishOptions {
        mandatory: parcel.mandatory,
        ..BasicPublishOptions::default()
    };
    let published = channel.basic_publish(
        parcel.exchange.into(),
        parcel.routing_key.into(),
        options,
        parcel.payload,
        parcel.properties.clone(),
    );
    let confirmed = match published.await {
        Ok(confirm) => confirm.await,
        Err(error) => Err(error),
    };
    (at, confirmed)
}

/// What was said of one message; what came back is put aside.
fn said(
    confirmed: lapin::Result<Confirmation>,
    returned: &mut Vec<BasicReturnMessage>,
) -> Result<(), Unsent> {
    match confirmed {
        Ok(Confirmation::Ack(message)) => {
            returned.extend(message);
            Ok(())
        }
        Ok(Confirmation::NotRequested) => Ok(()),
        Ok(Confirmation::Nack(message)) => {
            returned.extend(message);
            Err(Unsent::Refused(
                "RabbitMQ would not take it: a queue it was routed to is full, or can't store it now"
                    .to_owned(),
            ))
        }
        // What ends the connection says nothing of the message.
        Err(error) => Err(match code(&error) {
            Some(code) if !error.is_amqp_hard_error() => Unsent::Closed(code, cause(&error)),
            _ => Unsent::Unknown(cause(&error)),
        }),
    }
}

/// Finds whose a message is that came back: the client gives it to whichever confirm comes next, which need not be its own.
fn unroutable(
    returned: &BasicReturnMessage,
    parcels: &[Parcel<'_>],
    answers: &mut [Result<(), Unsent>],
) {
    let came = &returned.delivery;
    let whose = parcels.iter().zip(answers).find(|(parcel, answer)| {
        answer.is_ok()
            && parcel.properties.message_id() == came.properties.message_id()
            && parcel.exchange == came.exchange.as_str()
            && parcel.routing_key == came.routing_key.as_str()
    });
    if let Some((_, answer)) = whose {
        *answer = Err(Unsent::Unroutable);
    }
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
