//! Looking at letters: each is leased for a moment and given back.

use std::ops::ControlFlow;

use super::{BATCH, DeadLetterMessage, Held};
use loafer_core::{
    Error,
    broker::{DeadLetterQueue, Progress, ProgressFn},
    message::MessageId,
};

/// Letters that were looked at.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Listing {
    /// The letters, in the order they came.
    pub letters: Vec<DeadLetterMessage>,
    /// The ids that were asked for and not found.
    pub missing: Vec<MessageId>,
    /// Whether it ended because the first letters came again before new ones did: their leases were over, and there may be more than were seen.
    pub came_again: bool,
    /// Whether it was stopped before it had seen all it was asked for.
    pub stopped: bool,
    /// Why letters could not be given back: they come back at the end of their leases.
    pub not_given_back: Option<Error>,
}

pub(super) async fn browse<Q: DeadLetterQueue>(
    queue: &Q,
    max: usize,
    ids: Option<&[MessageId]>,
    watch: ProgressFn<'_>,
) -> Result<Listing, Error> {
    let mut held = Held::of(queue);
    let seen = look(queue, max, ids, watch, &mut held).await;
    let given_back = held.give_back().await;
    let mut listed = seen?;
    listed.not_given_back = given_back.err();
    Ok(listed)
}

async fn look<Q: DeadLetterQueue>(
    queue: &Q,
    max: usize,
    ids: Option<&[MessageId]>,
    watch: ProgressFn<'_>,
    held: &mut Held<'_, Q>,
) -> Result<Listing, Error> {
    let mut listed = Listing {
        missing: ids.unwrap_or_default().to_vec(),
        ..Listing::default()
    };
    let mut leased = Vec::new();
    while listed.letters.len() < max && !(ids.is_some() && listed.missing.is_empty()) {
        if watch(Progress::new(held.leases.len() as u64, None)) == ControlFlow::Break(()) {
            listed.stopped = true;
            break;
        }
        let ask = BATCH.min(max - listed.letters.len());
        let answer = queue.lease(ask, &mut leased).await;
        let (mut new, came) = (false, !leased.is_empty());
        for delivery in leased.drain(..) {
            if !held.keep(&delivery) {
                continue;
            }
            new = true;
            let wanted = ids.is_none_or(|_| {
                let before = listed.missing.len();
                listed.missing.retain(|id| id != delivery.message.id());
                listed.missing.len() < before
            });
            if wanted {
                let origin = queue.origin(&delivery.message);
                listed
                    .letters
                    .push(DeadLetterMessage::new(delivery.message, origin));
            }
        }
        answer?;
        // Nothing more, or the first leases are over and it begins anew.
        if !new {
            listed.came_again = came;
            break;
        }
    }
    Ok(listed)
}
