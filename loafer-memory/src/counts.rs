//! What a stored message counts: how often it failed, was delivered, and was given back untried.
//!
//! The attempt of a stored message is the number of its failures, and its deliveries are those so far. So a lease that is lost costs a delivery, and
//! only a retry costs an attempt.

use std::time::SystemTime;

use loafer_core::message::Message;

/// How many deliveries of a message were given back untried. They don't count towards the most receives of a queue.
struct Untried(u32);

/// Returns a message as it is stored when it is sent: nothing counts yet.
#[inline]
pub(crate) fn sent(message: Message) -> Message {
    let message = match message.extension::<Untried>() {
        // A copy of a message that was delivered before.
        Some(_) => message.with_extension(Untried(0)),
        None => message,
    };
    message.with_attempt(0).with_deliveries(0)
}

/// Returns a message as it is stored once it is delivered, and as it is delivered.
#[inline(always)]
pub(crate) fn delivered(stored: Message) -> (Message, Message) {
    let stored = stored.delivered_again();
    let delivered = stored.clone().tried_again();
    (stored, delivered)
}

/// Returns a message whose last delivery was tried and failed.
pub(crate) fn failed(stored: Message) -> Message {
    let failures = stored.attempt() + 1;
    let stored = match failures {
        1 => stored.with_first_failed_at(SystemTime::now()),
        _ => stored,
    };
    stored.with_attempt(failures)
}

/// Returns a message whose last delivery was given back untried.
pub(crate) fn untried(stored: Message) -> Message {
    let before = times_untried(&stored);
    stored.with_extension(Untried(before + 1))
}

/// Returns whether a message was delivered so often, without the deliveries that were given back untried.
#[inline(always)]
pub(crate) fn is_worn(stored: &Message, most: u32) -> bool {
    stored.deliveries() >= most && stored.deliveries() - times_untried(stored) >= most
}

#[cold]
fn times_untried(stored: &Message) -> u32 {
    stored.extension().map_or(0, |Untried(times)| *times)
}
