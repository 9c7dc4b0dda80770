//! Many messages in few calls, with an answer for each; what a call leaves out is tried again alone.

use std::{collections::HashSet, future::Future, pin::Pin, time::Duration};

use backon::{BackoffBuilder, ExponentialBuilder};
use futures_util::{StreamExt, stream};
use loafer_core::{Error, MessageId};
use tokio::time::sleep;

use crate::{
    error::Call,
    parcel::{self, Parcel},
};

/// How many calls of one publication are in flight at once.
const AT_ONCE: usize = 8;
/// How often a message is tried again which failed inside a call that did not.
const AGAIN: usize = 4;
/// The pause before the first of these, doubled from one to the next, with as much again by chance.
const PAUSE: Duration = Duration::from_millis(100);

/// What became of each message, in order.
pub(super) type Answers = Vec<Result<MessageId, Error>>;

/// What a call said of each of its entries.
pub(super) type Said = Vec<Result<MessageId, Fault>>;

/// One call, not yet made.
pub(super) type Sending<'c> = Pin<Box<dyn Future<Output = Said> + Send + 'c>>;

/// Why an entry was not sent.
pub(super) struct Fault {
    pub(super) error: Error,
    /// Whether it is worth another try: the call was answered, and this entry failed by no fault of ours. A call that failed as a whole
    /// was tried again by the SDK.
    pub(super) again: bool,
}

impl Fault {
    /// For good.
    pub(super) fn last(error: Error) -> Self {
        Self {
            error,
            again: false,
        }
    }

    /// Of one entry inside an answered call.
    pub(super) fn of_entry(error: Error) -> Self {
        let again = matches!(error, Error::Unreachable { .. });
        Self { error, again }
    }
}

/// Sends parcels in calls of ten and `limit` bytes, which `sending` prepares, several at once.
///
/// On FIFO (`ordered`) a call has one message of a group: SQS takes or leaves each entry for itself, so that a later one of the group could
/// overtake one that failed. The next goes once the one before it is in; after one that failed for good none of its group is sent.
pub(super) async fn in_calls<'c>(
    parcels: &'c [Parcel<'_>],
    limit: usize,
    ordered: bool,
    call: Call<'_>,
    sending: impl Fn(Vec<&'c Parcel<'c>>) -> Sending<'c>,
) -> Answers {
    let mut answers: Vec<_> = parcels.iter().map(|_| None).collect();
    let mut pending: Vec<_> = (0..parcels.len()).collect();
    let mut tries = vec![0; parcels.len()];
    let pauses: Vec<_> = pauses().collect();
    while !pending.is_empty() {
        let mut groups = HashSet::new();
        let wave: Vec<_> = pending
            .iter()
            .copied()
            .filter(|place| !ordered || groups.insert(parcels[*place].group.as_deref()))
            .collect();
        let sizes: Vec<_> = wave.iter().map(|place| parcels[*place].bytes()).collect();
        let calls = parcel::calls(&sizes, limit).into_iter().map(|some| {
            let places = wave[some].to_vec();
            let sending = sending(places.iter().map(|place| &parcels[*place]).collect());
            async move { (places, sending.await) }
        });
        // Collected first: the compiler can't tell that a lazy one is `Send`.
        let calls: Vec<_> = calls.collect();
        let mut sent = stream::iter(calls).buffer_unordered(AT_ONCE);

        let (mut pause, mut over) = (None, HashSet::new());
        while let Some((places, said)) = sent.next().await {
            for (place, said) in places.into_iter().zip(said) {
                match said {
                    Ok(id) => answers[place] = Some(Ok(id)),
                    Err(fault) if fault.again && tries[place] < pauses.len() => {
                        pause = pause.max(Some(pauses[tries[place]]));
                        tries[place] += 1;
                    }
                    Err(fault) => {
                        over.insert(parcels[place].group.as_deref());
                        answers[place] = Some(Err(fault.error));
                    }
                }
            }
        }
        drop(sent);
        pending.retain(|place| answers[*place].is_none());
        for place in pending.iter().copied().filter(|_| ordered) {
            if over.contains(&parcels[place].group.as_deref()) {
                answers[place] = Some(Err(call.unsent()));
            }
        }
        pending.retain(|place| answers[*place].is_none());
        if let Some(pause) = pause {
            sleep(pause).await;
        }
    }
    let answered = answers.into_iter();
    answered
        .map(|answer| answer.unwrap_or_else(|| Err(call.unanswered())))
        .collect()
}

fn pauses() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::new()
        .with_min_delay(PAUSE)
        .with_max_times(AGAIN)
        .with_jitter()
        .build()
}

/// The answers of one call, from its entries' ids and outcomes; what it leaves out has failed.
pub(super) fn by_entry<'i>(
    entries: usize,
    outcomes: impl Iterator<Item = (&'i str, Result<MessageId, Error>)>,
    call: Call<'_>,
) -> Said {
    let mut answers: Vec<_> = (0..entries).map(|_| None).collect();
    for (id, outcome) in outcomes {
        if let Some(answer) = id
            .parse()
            .ok()
            .and_then(|place: usize| answers.get_mut(place))
        {
            *answer = Some(outcome.map_err(Fault::of_entry));
        }
    }
    answers
        .into_iter()
        .map(|answer| answer.unwrap_or_else(|| Err(Fault::of_entry(call.unanswered()))))
        .collect()
}
