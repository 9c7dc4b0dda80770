//! Many messages in few calls, with an answer for each. An entry that fails inside an answered call is tried again.

use std::{future::Future, pin::Pin, time::Duration};

use futures_util::{StreamExt, stream};
use loafer_core::{
    Error,
    broker::{Pauses, Rounds},
    message::MessageId,
};
use tokio::time::sleep;

use crate::{
    client::{Clients, Fault},
    error::{Call, code},
    names::is_fifo,
    outgoing::{self, Entry, SQS_BYTES},
};

/// How many calls of one publication are in flight at once.
const AT_ONCE: usize = 8;
/// The pauses before an entry that failed inside an answered call is tried again.
const PAUSES: Pauses = Pauses::new(Duration::from_millis(100)).tries(4);

/// What became of each message, in order.
pub(crate) type Answers = Vec<Result<MessageId, Error>>;

/// What one call said of each of its entries, in order.
pub(super) type Said = Vec<Result<MessageId, Fault>>;

/// One call that is not made yet.
pub(super) type Sending<'c> = Pin<Box<dyn Future<Output = Said> + Send + 'c>>;

/// Returns the rounds of a batch. On FIFO (`ordered`) they keep the messages of each group in order.
pub(super) fn rounds<'a, 'g>(
    call: Call<'a>,
    ordered: bool,
    groups: impl ExactSizeIterator<Item = Option<&'g str>>,
) -> Rounds<'a> {
    let rounds = Rounds::new(call.what, call.queue, groups.len(), PAUSES);
    match ordered {
        true => rounds.in_groups(groups),
        false => rounds,
    }
}

/// Sends entries to a queue; returns an answer for each, in order.
pub(crate) async fn send(
    clients: &Clients,
    url: &str,
    entries: &[Entry<'_>],
    call: Call<'_>,
) -> Answers {
    let groups = entries.iter().map(|entry| entry.group.as_deref());
    let rounds = rounds(call, is_fifo(url), groups);
    let entries: Vec<_> = entries.iter().map(Some).collect();
    send_in(rounds, clients, url, &entries, call).await
}

/// Sends the entries of these rounds to a queue; returns an answer for each, in order. An entry that is `None` has its answer already.
pub(super) async fn send_in(
    rounds: Rounds<'_>,
    clients: &Clients,
    url: &str,
    entries: &[Option<&Entry<'_>>],
    call: Call<'_>,
) -> Answers {
    let sending = |ten: Vec<&Entry<'_>>| -> Sending<'_> {
        let ten = ten.into_iter().map(Entry::to_sqs).collect();
        Box::pin(clients.send(url, ten, call))
    };
    in_calls(rounds, entries, SQS_BYTES, call, sending).await
}

/// Sends entries in calls of ten entries and `limit` bytes, which `sending` prepares. Several calls run at once.
///
/// An entry that failed inside an answered call is sent again in the next round, and so are those of a call that was too long, in smaller calls. The SDK has
/// tried a call again that failed as a whole.
pub(super) async fn in_calls<'c>(
    mut rounds: Rounds<'_>,
    entries: &[Option<&'c Entry<'c>>],
    mut limit: usize,
    call: Call<'_>,
    sending: impl Fn(Vec<&'c Entry<'c>>) -> Sending<'c>,
) -> Answers {
    while let Some(round) = rounds.next_round() {
        let round: Vec<_> = round
            .into_iter()
            .filter_map(|index| Some((index, entries[index]?)))
            .collect();
        let sizes: Vec<_> = round.iter().map(|(_, entry)| entry.bytes()).collect();
        let calls = outgoing::calls(&sizes, limit).into_iter().map(|some| {
            let bytes: usize = sizes[some.clone()].iter().sum();
            let (indices, entries): (Vec<_>, Vec<_>) = round[some].iter().copied().unzip();
            let sending = sending(entries);
            async move { (indices, bytes, sending.await) }
        });
        // They are collected first, since the compiler can't see that a lazy iterator is `Send`.
        let calls: Vec<_> = calls.collect();
        let mut sent = stream::iter(calls).buffer_unordered(AT_ONCE);
        while let Some((indices, bytes, said)) = sent.next().await {
            let is_alone = indices.len() == 1;
            for (index, said) in indices.into_iter().zip(said) {
                match said {
                    Ok(id) => rounds.done(index, id),
                    Err(Fault::Entry(error)) if error.is_transient() => rounds.again(index, error),
                    Err(Fault::Call(error)) if !is_alone && is_too_long(&error) => {
                        limit = limit.min(bytes / 2);
                        rounds.again(index, error);
                    }
                    Err(fault) => {
                        let error = fault.into_error().unwrap_or_else(|| call.unanswered());
                        rounds.failed(index, error);
                    }
                }
            }
        }
        drop(sent);
        if let Some(pause) = rounds.pause() {
            sleep(pause).await;
        }
    }
    rounds.into_answers()
}

/// Returns whether a call was refused because its messages are too large together (SQS API: `SendMessageBatch`; SNS API: `PublishBatch`).
pub(crate) fn is_too_long(error: &Error) -> bool {
    code(error).is_some_and(|code| code.contains("BatchRequestTooLong"))
}
