//! Listings: each dead letter is leased for a moment and released.

use std::ops::ControlFlow;

use super::{DeadLetterMessage, Leases};
use loafer_core::{
    Error,
    broker::{DeadLetterQueue, Progress, ProgressFn},
    message::MessageId,
};

/// The dead letters that a listing saw.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Listing {
    /// The dead letters, in the order in which they came.
    pub dead_letters: Vec<DeadLetterMessage>,
    /// The ids that were asked for and not found.
    pub missing: Vec<MessageId>,
    /// Whether the listing ended because the first dead letters were delivered a second time before it had seen all: their leases had ended. There
    /// may be more than it saw.
    pub started_over: bool,
    /// Whether the listing was stopped before it had seen all it was asked for.
    pub stopped: bool,
    /// Why dead letters could not be released. They stay leased until their leases end.
    pub not_given_back: Option<Error>,
}

pub(super) async fn browse<Q: DeadLetterQueue>(
    queue: &Q,
    max: usize,
    ids: Option<&[MessageId]>,
    watch: ProgressFn<'_>,
) -> Result<Listing, Error> {
    let mut leases = Leases::of(queue);
    let seen = look(queue, max, ids, watch, &mut leases).await;
    let released = leases.give_back().await;
    let mut listing = seen?;
    listing.not_given_back = released.err();
    Ok(listing)
}

async fn look<Q: DeadLetterQueue>(
    queue: &Q,
    max: usize,
    ids: Option<&[MessageId]>,
    watch: ProgressFn<'_>,
    leases: &mut Leases<'_, Q>,
) -> Result<Listing, Error> {
    let mut listing = Listing {
        missing: ids.unwrap_or_default().to_vec(),
        ..Listing::default()
    };
    let mut leased = Vec::new();
    while listing.dead_letters.len() < max && !(ids.is_some() && listing.missing.is_empty()) {
        if watch(Progress::new(leases.len(), None)) == ControlFlow::Break(()) {
            listing.stopped = true;
            break;
        }
        let ask = queue
            .capabilities()
            .batch
            .min(max - listing.dead_letters.len());
        let answer = queue.lease(ask, &mut leased).await;
        let (mut new, came) = (false, !leased.is_empty());
        for delivery in leased.drain(..) {
            if !leases.keep(&delivery) {
                continue;
            }
            new = true;
            let wanted = ids.is_none_or(|_| {
                let before = listing.missing.len();
                listing.missing.retain(|id| id != delivery.message.id());
                listing.missing.len() < before
            });
            if wanted {
                let origin = queue.origin(&delivery.message);
                listing
                    .dead_letters
                    .push(DeadLetterMessage::new(delivery.message, origin));
            }
        }
        answer?;
        // There is nothing more, or the first leases have ended and the queue starts over.
        if !new {
            listing.started_over = came;
            break;
        }
    }
    Ok(listing)
}
