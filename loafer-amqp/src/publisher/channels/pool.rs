//! Channels with publisher confirms, each used by one at a time.

use std::{
    iter,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use lapin::{
    Channel, Confirmation,
    message::BasicReturnMessage,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use loafer_core::Error;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use super::{Parcel, Sent, Unsent, WINDOW, unsent};
use crate::{
    client::{Link, answered},
    error::{self, cause, code, refused},
};

/// How long the broker may go without confirming any of what it was sent.
const CONFIRM: Duration = Duration::from_secs(15);

/// Channels in use at once.
const CHANNELS: usize = 64;

/// Channels with confirms, opened as they are needed, and kept.
pub(super) struct Channels {
    pub(super) link: Arc<Link>,
    /// Those that nobody publishes on at the moment.
    idle: Mutex<Vec<Channel>>,
    turns: Semaphore,
}

/// A channel for one at a time. Only when all it was used for was answered is it used again: dropped before, it is closed, since what it
/// still confirms would be taken for something else's.
struct Turn<'c> {
    channels: &'c Channels,
    channel: Channel,
    _permit: SemaphorePermit<'c>,
}

impl Turn<'_> {
    fn give_back(self) {
        if self.channel.status().connected() {
            self.channels.idle().push(self.channel);
        }
    }
}

impl Channels {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self {
            link,
            idle: Mutex::default(),
            turns: Semaphore::new(CHANNELS),
        }
    }

    pub(super) fn idle(&self) -> MutexGuard<'_, Vec<Channel>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes a window: all frames of it are handed over before the first answer is waited for. An error where there is no channel to be had.
    pub(super) async fn publish(&self, what: &str, parcels: &[&Parcel]) -> Result<Sent, Unsent> {
        let mut answers = self.window(what, parcels).await?;
        self.alone(what, parcels, &mut answers).await;
        Ok(answers)
    }

    async fn window(&self, what: &str, parcels: &[&Parcel]) -> Result<Sent, Unsent> {
        self.link.unblocked().await;
        let turn = self.turn(what).await.map_err(|error| unsent(&error))?;
        let mut answers: Vec<_> = parcels.iter().map(|_| None).collect();
        let mut returned = Vec::new();
        {
            let handed_over = parcels.iter().enumerate();
            let handed_over = handed_over
                .map(|(at, parcel)| hand_over(&turn.channel, at, parcel))
                .collect::<FuturesUnordered<_>>();
            let mut confirms = handed_over.ready_chunks(WINDOW);
            loop {
                match timeout(CONFIRM, confirms.next()).await {
                    Ok(Some(some)) => {
                        for (at, confirmed) in some {
                            answers[at] = Some(said(confirmed, &mut returned));
                        }
                    }
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
        closed_with_it(&mut answers);
        Ok(answers)
    }

    /// What closed a channel took its neighbours along: each is sent once more, alone, so that only that one is told.
    async fn alone(&self, what: &str, parcels: &[&Parcel], answers: &mut [Result<(), Unsent>]) {
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
        let exchange = &parcels[first].exchange;
        if matches!(code, error::NOT_FOUND | error::ACCESS_REFUSED)
            && closed
                .iter()
                .all(|&(at, _)| parcels[at].exchange == *exchange)
        {
            return;
        }
        for (at, _) in closed {
            let alone = self.window(what, &[parcels[at]]).await;
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
            channels: self,
            channel,
            _permit: permit,
        })
    }

    /// A channel that is open already, the one used last.
    fn known(&self) -> Option<Channel> {
        let mut idle = self.idle();
        iter::from_fn(|| idle.pop()).find(|channel| channel.status().connected())
    }
}

async fn hand_over(
    channel: &Channel,
    at: usize,
    parcel: &Parcel,
) -> (usize, lapin::Result<Confirmation>) {
    let options = BasicPublishOptions {
        mandatory: parcel.mandatory,
        ..BasicPublishOptions::default()
    };
    let published = channel.basic_publish(
        (*parcel.exchange).into(),
        (*parcel.routing_key).into(),
        options,
        &parcel.payload,
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

/// What was to be written after the channel was closed is told that it is: the same holds for it as for those before.
fn closed_with_it(answers: &mut [Result<(), Unsent>]) {
    let closed = |answer: &&_| matches!(answer, Err(Unsent::Closed(..)));
    let Some(closed) = answers.iter().find(closed).cloned() else {
        return;
    };
    for answer in answers {
        if matches!(answer, Err(Unsent::Unknown(_))) {
            answer.clone_from(&closed);
        }
    }
}

/// Finds whose a message is that came back: the client gives it to whichever confirm comes next, which need not be its own.
fn unroutable(
    returned: &BasicReturnMessage,
    parcels: &[&Parcel],
    answers: &mut [Result<(), Unsent>],
) {
    let came = &returned.delivery;
    let whose = parcels.iter().zip(answers).find(|(parcel, answer)| {
        answer.is_ok()
            && parcel.mandatory
            && parcel.properties.message_id() == came.properties.message_id()
            && *parcel.exchange == *came.exchange.as_str()
            && *parcel.routing_key == *came.routing_key.as_str()
    });
    if let Some((_, answer)) = whose {
        *answer = Err(Unsent::Unroutable);
    }
}
