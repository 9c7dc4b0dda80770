//! Many messages in few calls, with an answer for each. An entry that fails inside an answered call is tried again.

use std::{collections::HashSet, future::Future, pin::Pin, time::Duration};

use backon::{BackoffBuilder, ExponentialBuilder};
use futures_util::{StreamExt, stream};
use loafer_core::{Error, message::MessageId};
use tokio::time::sleep;

use crate::{
    client::{Clients, Fault},
    error::Call,
    names::is_fifo,
    outgoing::{self, Entry, SQS_BYTES},
};

/// How many calls of one publication are in flight at once.
const AT_ONCE: usize = 8;
/// How often an entry is tried again that failed inside an answered call.
const AGAIN: usize = 4;
/// The pause before the first of these tries. It doubles from one to the next, and jitter adds up to as much again.
const PAUSE: Duration = Duration::from_millis(100);

/// What became of each message, in order.
pub(crate) type Answers = Vec<Result<MessageId, Error>>;

/// What one call said of each of its entries, in order.
pub(super) type Said = Vec<Result<MessageId, Fault>>;

/// One call that is not made yet.
pub(super) type Sending<'c> = Pin<Box<dyn Future<Output = Said> + Send + 'c>>;

/// Sends entries to a queue; returns an answer for each, in order.
pub(crate) async fn send(
    clients: &Clients,
    url: &str,
    entries: &[Entry<'_>],
    call: Call<'_>,
) -> Answers {
    let sending = |ten: Vec<&Entry<'_>>| -> Sending<'_> {
        let ten = ten.into_iter().map(Entry::to_sqs).collect();
        Box::pin(clients.send(url, ten, call))
    };
    in_calls(entries, SQS_BYTES, is_fifo(url), call, sending).await
}

/// Sends entries in calls of ten entries and `limit` bytes, which `sending` prepares. Several calls run at once.
///
/// On FIFO (`ordered`) a call has one message of each group. SQS accepts or refuses each entry on its own, so a later one of the group could
/// overtake one that failed. The next one is sent once the one before it was accepted. After one that failed for good, no more of its group
/// are sent.
pub(super) async fn in_calls<'c>(
    entries: &'c [Entry<'_>],
    limit: usize,
    ordered: bool,
    call: Call<'_>,
    sending: impl Fn(Vec<&'c Entry<'c>>) -> Sending<'c>,
) -> Answers {
    let mut answers: Vec<_> = entries.iter().map(|_| None).collect();
    let mut pending: Vec<_> = (0..entries.len()).collect();
    let mut tries = vec![0; entries.len()];
    let pauses: Vec<_> = pauses().collect();
    while !pending.is_empty() {
        let mut groups = HashSet::new();
        let wave: Vec<_> = pending
            .iter()
            .copied()
            .filter(|index| !ordered || groups.insert(entries[*index].group.as_deref()))
            .collect();
        let sizes: Vec<_> = wave.iter().map(|index| entries[*index].bytes()).collect();
        let calls = outgoing::calls(&sizes, limit).into_iter().map(|some| {
            let indices = wave[some].to_vec();
            let sending = sending(indices.iter().map(|index| &entries[*index]).collect());
            async move { (indices, sending.await) }
        });
        // They are collected first, since the compiler can't see that a lazy iterator is `Send`.
        let calls: Vec<_> = calls.collect();
        let mut sent = stream::iter(calls).buffer_unordered(AT_ONCE);

        let (mut pause, mut over) = (None, HashSet::new());
        while let Some((indices, said)) = sent.next().await {
            for (index, said) in indices.into_iter().zip(said) {
                match said {
                    Ok(id) => answers[index] = Some(Ok(id)),
                    // The SDK has tried a call again that failed as a whole.
                    Err(Fault::Entry(Error::Unreachable { .. })) if tries[index] < pauses.len() => {
                        pause = pause.max(Some(pauses[tries[index]]));
                        tries[index] += 1;
                    }
                    Err(fault) => {
                        over.insert(entries[index].group.as_deref());
                        let error = fault.into_error().unwrap_or_else(|| call.unanswered());
                        answers[index] = Some(Err(error));
                    }
                }
            }
        }
        drop(sent);
        pending.retain(|index| answers[*index].is_none());
        for index in pending.iter().copied().filter(|_| ordered) {
            if over.contains(&entries[index].group.as_deref()) {
                answers[index] = Some(Err(call.unsent()));
            }
        }
        pending.retain(|index| answers[*index].is_none());
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
