//! What happens in a run.

use crate::Millis;

/// The number of a delivery, in the order in which the broker made them.
pub type DeliveryId = u32;

/// A message: the number of its route and its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageKey {
    /// The number of its route in the scenario.
    pub route: usize,
    /// Its number among the messages of the route, in the order of the plan.
    pub index: usize,
}

/// What user code answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// The message is done.
    Ack,
    /// `false`.
    Nack,
    /// An error, also one whose `Display` panics.
    Failed,
    /// It panicked.
    Panicked,
    /// A retry after this long.
    Retry(Millis),
    /// The message goes to the dead letters.
    Reject,
}

impl Answer {
    /// Whether `on_error` decides about it.
    #[must_use]
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::Panicked)
    }
}

/// What a settlement asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Asked {
    /// The message leaves its queue.
    Ack,
    /// It is delivered later.
    Retry(Option<Millis>),
    /// It goes to the dead letters.
    DeadLetter,
    /// It is not due before this moment, and is delivered then or earlier.
    Defer(Millis),
    /// It is visible at once.
    Release,
    /// It is handed over next alone.
    Isolate,
    /// It goes to the dead letters, because its process ended while it was handled alone.
    GiveUp,
}

/// What a settlement was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    /// It is done.
    Done,
    /// The lease was not ours.
    Lost,
    /// There is no dead-letter target.
    NoTarget,
    /// It failed, and may be tried again.
    Failed,
    /// It was refused for good.
    Refused,
    /// The provider gave no answer, or nobody waited for it.
    Nothing,
}

/// Why a lease ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// Its time was over.
    Expired,
    /// The broker took it back.
    Revoked,
    /// Its connection was lost.
    Disconnected,
    /// The broker took it back on notice, after the fence.
    Left,
    /// The app's process was killed.
    Killed,
}

/// What a delivery is, when the broker makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Given {
    /// The message.
    pub message: MessageKey,
    /// How many deliveries there were of it, with this one.
    pub nth: u32,
    /// The attempt that it says.
    pub attempt: u32,
    /// How many deliveries it says.
    pub deliveries: u32,
    /// Whether it is handed over alone.
    pub isolated: bool,
    /// When its lease ends. `None` means with its connection.
    pub until: Option<Millis>,
    /// Whether the broker delivers it although another lease lives, or although it was acked.
    pub duplicate: bool,
    /// Which copy of the message it is: one that was put off has an id of its own.
    pub copy: u32,
    /// When the message says that it is due. `None` means that it does not say.
    pub due: Option<Millis>,
}

/// One thing that happened. Deliveries are named by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// An app began: its number.
    Began(u32),
    /// The app was asked to stop.
    Stopping,
    /// The app was asked to cancel what runs.
    Cancelling,
    /// The app's process was killed: nothing that it does is seen any more.
    Killed,
    /// The app ended.
    Over,
    /// A message was published.
    Published(MessageKey),
    /// The broker made a delivery.
    Delivered(DeliveryId, Given),
    /// The broker moved a message to the dead letters by itself, because it was received too often.
    Redriven(MessageKey),
    /// The receive that brings it returned.
    Handed(DeliveryId),
    /// It is tried again in place, as this attempt.
    Tried(DeliveryId, u32),
    /// A call began, with its number.
    Started(DeliveryId, u32),
    /// User code answered: the handler, or the outermost layer.
    Answered(DeliveryId, Answer),
    /// The future of a call was dropped before it answered.
    Dropped(DeliveryId),
    /// A call that had answered is gone.
    Left(DeliveryId),
    /// `on_error` was asked.
    Consulted(DeliveryId),
    /// `on_error` answered.
    Decided(DeliveryId, Answer),
    /// The future of `on_error` was dropped before it answered.
    Undecided(DeliveryId),
    /// A settlement began.
    Settling(DeliveryId, Asked),
    /// The broker carried a settlement out.
    Settled(DeliveryId, Asked),
    /// A settlement was answered.
    SettleReplied(DeliveryId, Reply),
    /// A renewal began, to last so long.
    Renewing(DeliveryId, Millis),
    /// The broker renewed a lease until this moment.
    Renewed(DeliveryId, Millis),
    /// A renewal was answered.
    RenewReplied(DeliveryId, Reply),
    /// A lease ended.
    LeaseEnded(DeliveryId, Why),
    /// A lease will be taken back at this moment, after so long.
    Leaves(DeliveryId, Millis, Millis),
    /// A route was paused.
    Paused(usize),
    /// A route was resumed.
    Resumed(usize),
    /// A receive began on this route.
    Receiving(usize),
    /// A receive of this route returned, failed or was dropped.
    Received(usize, bool),
}

impl Event {
    /// Returns the delivery that it is about.
    #[must_use]
    pub fn delivery(&self) -> Option<DeliveryId> {
        match *self {
            Self::Began(_)
            | Self::Stopping
            | Self::Cancelling
            | Self::Killed
            | Self::Over
            | Self::Published(_)
            | Self::Redriven(_)
            | Self::Paused(_)
            | Self::Resumed(_)
            | Self::Receiving(_)
            | Self::Received(..) => None,
            Self::Delivered(id, _)
            | Self::Handed(id)
            | Self::Tried(id, _)
            | Self::Started(id, _)
            | Self::Answered(id, _)
            | Self::Dropped(id)
            | Self::Left(id)
            | Self::Consulted(id)
            | Self::Decided(id, _)
            | Self::Undecided(id)
            | Self::Settling(id, _)
            | Self::Settled(id, _)
            | Self::SettleReplied(id, _)
            | Self::Renewing(id, _)
            | Self::Renewed(id, _)
            | Self::RenewReplied(id, _)
            | Self::Leaves(id, ..)
            | Self::LeaseEnded(id, _) => Some(id),
        }
    }
}
