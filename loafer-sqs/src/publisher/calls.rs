//! Many messages in few calls, with an answer for each.

use std::{future::Future, ops::Range, pin::Pin};

use futures_util::{StreamExt, stream};
use loafer_core::{Error, MessageId};

use crate::{
    error::Call,
    parcel::{self, Parcel},
};

/// How many calls of one publication are in flight at once.
const AT_ONCE: usize = 8;

/// What became of each message, in order.
pub(super) type Answers = Vec<Result<MessageId, Error>>;

/// One call, not yet made.
pub(super) type Sending<'c> = Pin<Box<dyn Future<Output = Answers> + Send + 'c>>;

/// Makes the calls that `sending` prepares for ten parcels and `limit` bytes each: several at once, or on FIFO
/// (`ordered`) one after the other, with none after one that failed.
pub(super) async fn in_calls<'c>(
    parcels: &'c [Parcel<'_>],
    limit: usize,
    ordered: bool,
    call: Call<'_>,
    sending: impl Fn(Range<usize>) -> Sending<'c>,
) -> Answers {
    let sizes: Vec<_> = parcels.iter().map(Parcel::bytes).collect();
    let calls: Vec<_> = parcel::calls(&sizes, limit)
        .into_iter()
        .map(sending)
        .collect();
    let mut answers = Vec::with_capacity(parcels.len());
    let mut sent = stream::iter(calls).buffered(if ordered { 1 } else { AT_ONCE });
    while let Some(some) = sent.next().await {
        let stop = ordered && some.iter().any(Result::is_err);
        answers.extend(some);
        if stop {
            break;
        }
    }
    let unsent = |_| {
        let cause = "not sent, since one before it was not".to_owned();
        Err(Error::Unreachable {
            what: call.what,
            queue: call.queue.to_owned(),
            cause,
            source: None,
        })
    };
    answers.extend((answers.len()..parcels.len()).map(unsent));
    answers
}

/// The answers of one call, from its entries' ids and outcomes; what it leaves out has failed.
pub(super) fn by_entry<'i>(
    entries: usize,
    outcomes: impl Iterator<Item = (&'i str, Result<MessageId, Error>)>,
    call: Call<'_>,
) -> Answers {
    let mut answers: Vec<_> = (0..entries).map(|_| None).collect();
    for (id, outcome) in outcomes {
        if let Some(answer) = id
            .parse()
            .ok()
            .and_then(|place: usize| answers.get_mut(place))
        {
            *answer = Some(outcome);
        }
    }
    answers
        .into_iter()
        .map(|answer| answer.unwrap_or_else(|| Err(call.unanswered())))
        .collect()
}
