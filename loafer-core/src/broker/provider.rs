//! Where messages come from: the contract of a provider.

use std::{fmt, future::Future, time::Duration};

use super::{Capabilities, Finding, Notice, Renewed, Settle, Settled};
use crate::{Error, message::Message, policy::Policy};

/// Leases messages from one source and settles the leases.
///
/// One value serves one route. The framework calls [`open`](Self::open) once, then the other methods from several
/// tasks at once, and [`close`](Self::close) after the last settlement. A provider keeps no policy: what is received, renewed and settled,
/// and when, is the framework's to say.
///
/// # Attempts
///
/// Every network call has an attempt timeout; a call that hangs is an error. A provider does not repeat a
/// failed call behind the framework's back, unless its broker makes the repetition safe and invisible.
pub trait Provider: Send + Sync + 'static {
    /// What settles one delivery. Cheap to clone: keeper and settler hold it across awaits.
    type Receipt: Clone + fmt::Debug + Send + Sync + 'static;

    /// Connects and makes sure of the source; declares what is missing where `mode` says so.
    ///
    /// # Errors
    ///
    /// Names the queue and the remedy: the program prints it and exits.
    fn open(&self, mode: Open) -> impl Future<Output = Result<(), Error>> + Send;

    /// What the command `check` prints of this source: existence, redrive, lease against `timeout`, rights.
    fn check(&self, policy: &Policy) -> impl Future<Output = Vec<Finding>> + Send;

    /// Appends 0 to `max` messages to `into`, waiting at most `wait` for the first.
    ///
    /// # Cancellation
    ///
    /// Dropped in flight it may leave messages to the end of their leases; the framework drops it only at shutdown, after a grace.
    ///
    /// # Errors
    ///
    /// The framework backs off and tries again; it never gives up. What stands in `into` is kept.
    fn receive(
        &self,
        max: usize,
        wait: Duration,
        into: &mut Vec<Delivery<Self::Receipt>>,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Settles many leases in as few calls as the broker allows; pushes one answer an entry, in order.
    ///
    /// Nothing is consumed, so an entry that [failed](Settled::Failed) can be tried again.
    fn settle(
        &self,
        batch: &[Settle<Self::Receipt>],
        answers: &mut Vec<Settled>,
    ) -> impl Future<Output = ()> + Send;

    /// Renews many leases, each to `by` from now; pushes one answer a lease, in order.
    fn renew(
        &self,
        leases: &[Self::Receipt],
        by: Duration,
        answers: &mut Vec<Renewed>,
    ) -> impl Future<Output = ()> + Send;

    /// What the broker can do. Asked after `open`, once.
    fn capabilities(&self) -> Capabilities;

    /// How many messages the route will hold at most, handlers and prefetch together. Told once, before the first receive: a broker that
    /// pushes messages pushes no more than these.
    fn set_capacity(&self, messages: usize) {
        _ = messages;
    }

    /// Waits for what the broker tells by itself; unless implemented, for ever.
    ///
    /// # Cancellation
    ///
    /// Safe: what was told and not read is told again.
    fn notice(&self) -> impl Future<Output = Notice> + Send {
        std::future::pending()
    }

    /// Whether a lease may still be ours, as far as is known without asking the broker.
    fn is_live(&self, lease: &Self::Receipt) -> bool {
        _ = lease;
        true
    }

    /// Nothing is received any more, while what was received is still handled and settled: a broker that pushes messages is to push no more, and
    /// to take back what nobody received. Called by each of the [receivers](Capabilities::receivers); unless implemented, nothing.
    ///
    /// # Cancellation
    ///
    /// Dropped where all is settled before it is done; [`Provider::close`] is called then.
    fn stop(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Lets go of the source. Called after the last settlement.
    fn close(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// What [`Provider::open`] may do about a source that is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Open {
    /// Nothing: it must be there.
    #[default]
    Existing,
    /// Make it, with its dead-letter queue. Never touches what is there.
    Create,
    /// Read-only: creates nothing at all, not even what the program makes when it starts. The command `check` opens with it.
    ReadOnly,
}

/// One message on lease.
#[derive(Clone, Debug)]
pub struct Delivery<R> {
    /// What settles it.
    pub receipt: R,
    /// The message, with its attempt.
    pub message: Message,
}
