//! The pool of channels with publisher confirms. Each channel is used by one window at a time.

use std::{
    iter,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
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
    time::{Instant, timeout},
};

use super::{Answers, Unsent, WINDOW, unsent};
use crate::{
    client::{Link, answered},
    error::{self, cause, code, refused},
    outgoing::Entry,
};

/// How long RabbitMQ may go without confirming anything before the window is given up.
const CONFIRM: Duration = Duration::from_secs(15);

/// How long channels are kept on which RabbitMQ refused a message.
const REFUSING: Duration = Duration::from_secs(10);

/// How many channels are in use at once.
const CHANNELS: usize = 64;

/// Channels with confirms, opened as they are needed, and kept.
pub(super) struct Pool {
    pub(super) link: Arc<Link>,
    /// Channels that nobody uses at the moment. All messages published on them are answered.
    idle: Mutex<Vec<Channel>>,
    /// One permit a channel in use.
    permits: Semaphore,
    /// The largest message in bytes that RabbitMQ takes, as its last refusal says. `usize::MAX` means that nothing was too large yet.
    largest: AtomicUsize,
    /// How long the confirms of the last window took, in milliseconds. 0 means that there were none yet.
    confirmed_in: AtomicU64,
    /// When RabbitMQ refused a message first since the channels were closed for it.
    refused: Mutex<Option<Instant>>,
}

/// A channel taken from the pool. It goes back only when every message was answered. Dropped before, the channel is closed, since a later confirm
/// would be taken for that of another message.
struct Taken<'c> {
    pool: &'c Pool,
    channel: Channel,
    _permit: SemaphorePermit<'c>,
}

impl Taken<'_> {
    fn give_back(self) {
        if self.channel.status().connected() {
            self.pool.idle().push(self.channel);
        }
    }
}

impl Pool {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self {
            link,
            idle: Mutex::default(),
            permits: Semaphore::new(CHANNELS),
            largest: AtomicUsize::new(usize::MAX),
            confirmed_in: AtomicU64::new(0),
            refused: Mutex::default(),
        }
    }

    pub(super) fn idle(&self) -> MutexGuard<'_, Vec<Channel>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how long the confirms of the last window took. Zero means that there were none yet.
    pub(super) fn confirmed_in(&self) -> Duration {
        Duration::from_millis(self.confirmed_in.load(Ordering::Relaxed))
    }

    /// Publishes a window: hands over all of its frames before it waits for the first answer. Fails if no channel can be opened.
    ///
    /// RabbitMQ closes the channel for a message that it can't take, with the confirms of others that are on their way. These are published again, and a
    /// message that may be too large goes alone from the beginning.
    pub(super) async fn publish(&self, what: &str, entries: &[&Entry]) -> Result<Answers, Unsent> {
        let mut answers;
        let mut closed;
        if entries.iter().any(|entry| self.is_too_large(entry)) {
            answers = entries.iter().map(|_| Ok(())).collect();
            let all = (0..entries.len()).collect();
            closed = self.apart(what, entries, all, &mut answers).await;
        } else {
            answers = self.window(what, entries).await?;
            closed = closed_with_others(entries, &answers, 0..entries.len());
        }
        if closed.iter().any(|&at| self.is_too_large(entries[at])) {
            closed = self.apart(what, entries, closed, &mut answers).await;
        }
        for at in closed {
            self.some(what, entries, &[at], &mut answers).await;
        }
        Ok(answers)
    }

    /// Publishes these messages in one window, and each that may be too large alone. Returns those to publish again.
    async fn apart(
        &self,
        what: &str,
        entries: &[&Entry],
        these: Vec<usize>,
        answers: &mut Answers,
    ) -> Vec<usize> {
        let these = these.into_iter();
        let (large, small): (Vec<_>, Vec<_>) =
            these.partition(|&at| self.is_too_large(entries[at]));
        self.some(what, entries, &small, answers).await;
        for at in large {
            self.some(what, entries, &[at], answers).await;
        }
        closed_with_others(entries, answers, small.into_iter())
    }

    /// Publishes these messages in one window, and takes down their answers.
    async fn some(&self, what: &str, entries: &[&Entry], some: &[usize], answers: &mut Answers) {
        if some.is_empty() {
            return;
        }
        let these: Vec<&Entry> = some.iter().map(|&at| entries[at]).collect();
        match self.window(what, &these).await {
            Ok(sent) => some
                .iter()
                .zip(sent)
                .for_each(|(&at, sent)| answers[at] = sent),
            Err(unsent) => some
                .iter()
                .for_each(|&at| answers[at] = Err(unsent.clone())),
        }
    }

    fn is_too_large(&self, entry: &Entry) -> bool {
        let largest = self.largest.load(Ordering::Relaxed);
        largest < usize::MAX && entry.size() > largest
    }

    /// Takes down how large a message may be.
    fn learn(&self, entries: &[&Entry], answers: &Answers) {
        for (entry, answer) in entries.iter().zip(answers) {
            let largest = match answer {
                // It was raised.
                Ok(()) if self.is_too_large(entry) => Some(usize::MAX),
                Err(Unsent::Closed(_, cause)) => error::max_message_size(cause),
                _ => None,
            };
            if let Some(largest) = largest {
                self.largest.store(largest, Ordering::Relaxed);
            }
        }
    }

    async fn window(&self, what: &str, entries: &[&Entry]) -> Result<Answers, Unsent> {
        self.link.unblocked().await;
        let taken = self.take(what).await.map_err(|error| unsent(&error))?;
        let mut answers: Vec<_> = entries.iter().map(|_| None).collect();
        let mut returned = Vec::new();
        let begun = Instant::now();
        {
            let handed_over = entries.iter().enumerate();
            let handed_over = handed_over
                .map(|(at, entry)| hand_over(&taken.channel, at, entry))
                .collect::<FuturesUnordered<_>>();
            let mut confirms = handed_over.ready_chunks(WINDOW);
            loop {
                match timeout(CONFIRM, confirms.next()).await {
                    Ok(Some(some)) => {
                        for (at, confirmed) in some {
                            answers[at] = Some(answer(confirmed, &mut returned));
                        }
                    }
                    Ok(None) => break,
                    Err(_) if self.link.is_blocked() => {}
                    Err(_) => break,
                }
            }
        }
        if answers.iter().all(Option::is_some) {
            let millis = begun.elapsed().as_millis() as u64;
            self.confirmed_in.store(millis, Ordering::Relaxed);
            if answers.iter().flatten().any(is_refused) && self.are_stale() {
                self.idle().clear();
            } else {
                taken.give_back();
            }
        }
        let late = || {
            Err(Unsent::Unknown(format!(
                "RabbitMQ did not confirm it within {CONFIRM:?}"
            )))
        };
        let mut answers: Answers = answers
            .into_iter()
            .map(|answer| answer.unwrap_or_else(late))
            .collect();
        for returned in returned {
            unroutable(&returned, entries, &mut answers);
        }
        closed_with_it(&mut answers);
        self.learn(entries, &answers);
        Ok(answers)
    }

    /// Called when RabbitMQ refused a message. Returns whether it is time for other channels: those of RabbitMQ 3 refuse for ever what goes to a full
    /// queue whose limit was then lifted.
    #[cold]
    fn are_stale(&self) -> bool {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let stale = refused.get_or_insert_with(Instant::now).elapsed() >= REFUSING;
        if stale {
            *refused = None;
        }
        stale
    }

    async fn take(&self, what: &str) -> Result<Taken<'_>, Error> {
        let permit = self.permits.acquire().await;
        let permit = permit.map_err(|_| refused("publishing", what, "the channels are closed"))?;
        let channel = match self.known() {
            Some(channel) => channel,
            None => {
                let channel = self.link.channel("publishing", what).await?;
                let selected = channel.confirm_select(ConfirmSelectOptions::default());
                answered("publishing", what, selected).await?;
                channel
            }
        };
        Ok(Taken {
            pool: self,
            channel,
            _permit: permit,
        })
    }

    /// Returns an open channel that is idle, the one used last.
    fn known(&self) -> Option<Channel> {
        let mut idle = self.idle();
        iter::from_fn(|| idle.pop()).find(|channel| channel.status().connected())
    }
}

async fn hand_over(
    channel: &Channel,
    at: usize,
    entry: &Entry,
) -> (usize, lapin::Result<Confirmation>) {
    let options = BasicPublishOptions {
        mandatory: entry.mandatory,
        ..BasicPublishOptions::default()
    };
    let published = channel.basic_publish(
        (*entry.exchange).into(),
        (*entry.routing_key).into(),
        options,
        &entry.payload,
        entry.properties.clone(),
    );
    let confirmed = match published.await {
        Ok(confirm) => confirm.await,
        Err(error) => Err(error),
    };
    (at, confirmed)
}

/// Returns the answer for one message. Puts aside what RabbitMQ returned.
fn answer(
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
        // An error that ends the connection says nothing about this message.
        Err(error) => Err(match code(&error) {
            Some(code) if !error.is_amqp_hard_error() => Unsent::Closed(code, cause(&error)),
            _ => Unsent::Unknown(cause(&error)),
        }),
    }
}

fn is_refused(answer: &Result<(), Unsent>) -> bool {
    matches!(answer, Err(Unsent::Refused(_)))
}

/// Returns those of these messages that were not answered because one of them closed the channel.
fn closed_with_others(
    entries: &[&Entry],
    answers: &Answers,
    these: impl Iterator<Item = usize>,
) -> Vec<usize> {
    let code = |at: usize| match answers[at] {
        Err(Unsent::Closed(code, _)) => Some((at, code)),
        _ => None,
    };
    let closed: Vec<(usize, u16)> = these.filter_map(code).collect();
    let [(first, code), _, ..] = closed[..] else {
        return Vec::new();
    };
    // An exchange that is missing, or that we may not publish to, is so for all of them.
    let exchange = &entries[first].exchange;
    let for_all = matches!(code, error::NOT_FOUND | error::ACCESS_REFUSED)
        && closed
            .iter()
            .all(|&(at, _)| entries[at].exchange == *exchange);
    let again = closed.into_iter().filter(|_| !for_all);
    again.map(|(at, _)| at).collect()
}

/// Gives messages that came after the channel was closed the same answer as those before.
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

/// Finds the message that was returned. The client attaches it to whichever confirm comes next, which need not be its own.
fn unroutable(
    returned: &BasicReturnMessage,
    entries: &[&Entry],
    answers: &mut [Result<(), Unsent>],
) {
    let delivery = &returned.delivery;
    let found = entries.iter().zip(answers).find(|(entry, answer)| {
        answer.is_ok()
            && entry.mandatory
            && entry.properties.message_id() == delivery.properties.message_id()
            && *entry.exchange == *delivery.exchange.as_str()
            && *entry.routing_key == *delivery.routing_key.as_str()
    });
    if let Some((_, answer)) = found {
        *answer = Err(Unsent::Unroutable);
    }
}
