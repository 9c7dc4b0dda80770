//! The contract of a provider: what messages come from.

use std::{fmt, future::Future, time::Duration};

#[cfg(doc)]
use super::Settlement;
use super::{Capabilities, Depth, Finding, Notice, Renewed, Settle, Settled};
use crate::{Error, message::Message, policy::Policy};

/// Receives the messages of one route, renews their leases and settles them.
///
/// The engine calls [`open`](Self::open) once, then the other methods from several tasks at once, and [`close`](Self::close) after the last
/// settlement. A provider has no policy: the engine decides what is received, renewed and settled, and when. The guide describes the life of
/// [a provider](crate::broker#the-life-of-a-provider) and of [a lease](crate::broker#the-life-of-a-lease), and has
/// [an example](crate::broker#a-small-broker).
///
/// # Timeouts and repetitions
///
/// Each network call has a timeout of its own, and a call that takes longer is an error. A provider does not repeat a failed call on its own,
/// unless its broker makes the repetition safe and invisible.
pub trait Provider: Send + Sync + 'static {
    /// What names one delivery, so that its lease can be renewed and settled. It must be cheap to clone: the engine copies it for each renewal.
    type Receipt: Clone + fmt::Debug + Send + Sync + 'static;

    /// Connects, and finds the queue. `mode` says whether it may make what is missing. What it spawns runs where no handler blocks a thread; see
    /// [the life of a provider](crate::broker#the-life-of-a-provider).
    ///
    /// # Errors
    ///
    /// If the queue is missing or can't be used. The error names the queue and says what to do. The program prints it and does not start.
    ///
    /// # Cancellation
    ///
    /// The program gives it 12 s. After that it drops the future and does not start.
    fn open(&self, mode: Open) -> impl Future<Output = Result<(), Error>> + Send;

    /// Returns what the command `check` prints of this route: whether the queue exists, whether it has a redrive, whether its lease fits `timeout`,
    /// whether the permissions suffice. Called after `open`. It changes nothing on the server.
    fn check(&self, policy: &Policy) -> impl Future<Output = Vec<Finding>> + Send;

    /// Returns the rights that the route needs, in the form in which the operators of its broker give them: on SQS a policy of IAM. The command
    /// `check --policy` prints it. `None` means that the broker has no such form, and that is the default.
    ///
    /// Called after `open`, also if that failed: whoever asks may have no rights yet.
    fn rights(&self) -> Option<serde_json::Value> {
        None
    }

    /// Appends up to `max` messages to `into`. Waits for the first one for `wait` at most, and returns as soon as there is one.
    ///
    /// `max` is at least 1. Each delivery is a lease that begins now, and its message has its [attempt](Message::attempt).
    ///
    /// # Errors
    ///
    /// If the broker can't be reached or refuses. The engine pauses and tries again, without end. It handles what is in `into`.
    ///
    /// # Cancellation
    ///
    /// The engine drops the future at shutdown, after [`Capabilities::receive_grace`], and if that is zero also when the route is paused. It releases
    /// what is in `into`, or keeps it if the route is paused. Messages that the broker had just sent may stay leased until their leases end.
    fn receive(
        &self,
        max: usize,
        wait: Duration,
        into: &mut Vec<Delivery<Self::Receipt>>,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Takes one of the messages that were [isolated](Settlement::Isolate). `None` means that there is none. By default there never is one.
    ///
    /// Called only if [`Capabilities::isolates`] is set, while no message of the route runs: at the start, after an isolation, after each message that it
    /// returned, and after the release of such a message or the loss of its lease. It takes no message beside the one that it returns, and waits for
    /// nothing but the settlement of the one before it, if it can't tell otherwise which of them crashed.
    ///
    /// # Errors
    ///
    /// If the broker can't be reached or refuses. The engine asks again after a while.
    ///
    /// # Cancellation
    ///
    /// The engine drops the future when the route ends. A message that was taken meanwhile must not count as [crashed](Isolated::crashed).
    fn receive_isolated(
        &self,
    ) -> impl Future<Output = Result<Option<Isolated<Self::Receipt>>, Error>> + Send {
        std::future::ready(Ok(None))
    }

    /// Settles leases in as few calls as the broker allows. Pushes one answer per entry, in order. There are at most
    /// [`Capabilities::settle_batch`] entries, at least one, of any kinds.
    ///
    /// An entry that [failed](Settled::Failed), or that has no answer, is settled again. So each settlement must bear repetition, and a receipt of
    /// an earlier delivery must never settle a later one.
    ///
    /// # Cancellation
    ///
    /// The engine drops the future when the first lease of the batch ends, and 2 s after the time to drain is over. Any of the entries may have been
    /// settled then.
    fn settle(
        &self,
        batch: &[Settle<Self::Receipt>],
        answers: &mut Vec<Settled>,
    ) -> impl Future<Output = ()> + Send;

    /// Makes leases end after `by` from now. Pushes one answer per lease, in order. There may be more leases than one call of the broker takes.
    ///
    /// Called only if [`Capabilities::lease`] is set. A lease without an answer counts as not renewed.
    ///
    /// # Cancellation
    ///
    /// The engine drops the future when the route ends.
    fn renew(
        &self,
        leases: &[Self::Receipt],
        by: Duration,
        answers: &mut Vec<Renewed>,
    ) -> impl Future<Output = ()> + Send;

    /// Returns what the broker can do. Called after `open`, more than once, and must return the same each time.
    fn capabilities(&self) -> Capabilities;

    /// Sets how many messages the route has in flight at most: those in handlers and those leased ahead. Called once, before the first receive. A
    /// broker that pushes messages pushes no more than these. By default it is ignored.
    fn set_capacity(&self, messages: usize) {
        _ = messages;
    }

    /// Waits for something that the broker says between calls, and returns it. By default it waits for ever.
    ///
    /// # Cancellation
    ///
    /// Safe: the engine drops and repeats it at any time, so a notice that was not returned must be returned by the next call.
    fn notice(&self) -> impl Future<Output = Notice> + Send {
        std::future::pending()
    }

    /// Returns whether a lease may still be ours, as far as is known without a call. By default it is `true`.
    ///
    /// The engine asks it of each new delivery, of each message before it is settled, and of all messages after a [`Notice`]. Once leases that
    /// [leave](Notice::Leaving) are fenced, it is `false` for them.
    fn is_live(&self, lease: &Self::Receipt) -> bool {
        _ = lease;
        true
    }

    /// Returns how much the queue holds. By default nothing is known of it.
    ///
    /// Called after `open`, also while the route runs, by whoever wants to see or measure it, and never on the way of a message. It must answer
    /// within seconds.
    ///
    /// # Errors
    ///
    /// If the broker can't be reached, or does not let us ask. The error names the queue.
    ///
    /// # Cancellation
    ///
    /// Safe: it changes nothing on the server.
    fn depth(&self) -> impl Future<Output = Result<Depth, Error>> + Send {
        std::future::ready(Ok(Depth::default()))
    }

    /// Returns whether a lease is among those that [leave](Notice::Leaving). By default it is `true`: all leave.
    ///
    /// The engine asks it of all messages when the provider says that leases leave, and of new deliveries and settlements until the fence. If several
    /// leavings are in progress, the one that ends first bounds the leases of all.
    fn is_leaving(&self, lease: &Self::Receipt) -> bool {
        _ = lease;
        true
    }

    /// Pauses the delivery of messages, until the next [`receive`](Self::receive) resumes it. What was received is still handled and settled. A broker
    /// that pushes messages stops pushing, and takes back what was not received. By default it does nothing: whoever does not ask gets nothing.
    ///
    /// Called by one task of the route, while no receive is in flight: when the route is paused, and when it receives no more.
    ///
    /// # Cancellation
    ///
    /// The engine drops the future if everything is settled before it returns. [`close`](Self::close) follows.
    fn pause(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Closes the provider. Called once, after the last settlement, or when the time to settle is over. By default it does nothing.
    ///
    /// It should return within a second or two: 2.5 s after the time to drain it is given up.
    fn close(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// What [`Provider::open`] may do if the queue is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Open {
    /// Nothing: the queue must exist. A broker whose queues are always declared by their consumers, for example RabbitMQ, may declare it.
    #[default]
    Existing,
    /// Make it, with its dead-letter queue. What exists is never changed. `run --create` and `check --create` open with it.
    Create,
    /// Make nothing at all, not even what the program always makes when it starts. A queue that is missing is not an error: [`Provider::check`]
    /// reports it. The command `check` opens with it.
    ReadOnly,
}

/// One message on lease, as [`Provider::receive`] returns it.
#[derive(Clone, Debug)]
pub struct Delivery<R> {
    /// What renews and settles its lease.
    pub receipt: R,
    /// The message, with its attempt.
    pub message: Message,
}

/// A message that was handed over alone, as [`Provider::receive_isolated`] returns it.
#[derive(Clone, Debug)]
pub struct Isolated<R> {
    /// The delivery. It is settled like any other; a release makes it isolated again.
    pub delivery: Delivery<R>,
    /// Whether it was handed over so before, often enough for its broker, and each of those deliveries ended without a settlement: its process was
    /// killed, or its lease was lost. A broker that counts them may allow for a few, since a kill from outside ends one, too.
    pub crashed: bool,
}
