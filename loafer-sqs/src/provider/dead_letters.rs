//! Dead-lettering: a confirmed copy in the dead-letter queue, then the message is deleted. It is apart from `settle` for its size.

use std::sync::Arc;

use loafer_core::{
    Error,
    broker::{DeadLetter, Settle, Settled},
};

use super::{
    Opened, Receipt, SqsProvider,
    target::{Target, refusal},
};
use crate::{
    error::{Call, code, is_denial},
    names::{is_fifo, queue_name},
    outgoing::{Entry, SQS_BYTES},
    publisher::send,
    topology::set,
};

/// A message to give up, its index in the batch, and why.
pub(super) type Dead<'b> = (usize, &'b Settle<Receipt>, &'b Arc<DeadLetter>);

impl SqsProvider {
    /// Copies messages to the dead-letter queue unless they are copied already, and deletes those that are. Returns the answers by index in
    /// the batch; a message without an answer is done.
    pub(super) async fn dead_letter(
        &self,
        opened: &Opened,
        dead: &[Dead<'_>],
    ) -> Vec<(usize, Settled)> {
        if dead.is_empty() {
            return Vec::new();
        }
        let call = self.call("dead letter", &opened.found.clients.endpoint);
        let not_copied = |answer: &dyn Fn() -> Settled| {
            let left = dead
                .iter()
                .filter(|(_, entry, _)| !entry.receipt.is_copied());
            left.map(|(index, ..)| (*index, answer())).collect()
        };
        // Boxed, as the copies are below: most batches have no dead letter and should not carry their futures.
        let target = Box::pin(opened.dead_letter_target.find(opened, call)).await;
        let mut answers: Vec<_> = match target {
            Ok(Some(target)) => Box::pin(self.copy(opened, &target, dead, call)).await,
            Ok(None) => not_copied(&|| Settled::NoDeadLetterTarget),
            Err(error) => {
                opened.dead_letter_target.doubt().await;
                let error = Arc::new(error);
                not_copied(&|| Settled::Failed(Arc::clone(&error)))
            }
        };
        let entries = dead.iter().map(|(index, entry, _)| (*index, *entry));
        answers.extend(self.delete_copied(opened, entries).await);
        answers
    }

    /// Deletes the messages whose copies are confirmed. Returns the answers by index in the batch; a message without an answer is done.
    pub(super) async fn delete_copied<'b>(
        &self,
        opened: &Opened,
        entries: impl Iterator<Item = (usize, &'b Settle<Receipt>)>,
    ) -> Vec<(usize, Settled)> {
        let copied: Vec<_> = entries
            .filter(|(_, entry)| entry.receipt.is_copied())
            .map(|(index, entry)| (index, &entry.receipt))
            .collect();
        let faults = self.delete(opened, &copied).await;
        faults
            .into_iter()
            .map(|(index, fault)| (index, fault.into()))
            .collect()
    }

    /// Sends the copies. Marks the receipts of those that are confirmed, and returns answers for the others.
    async fn copy(
        &self,
        opened: &Opened,
        target: &Target,
        dead: &[Dead<'_>],
        call: Call<'_>,
    ) -> Vec<(usize, Settled)> {
        let fifo = is_fifo(&target.url);
        let (mut answers, mut entries, mut of) = (Vec::new(), Vec::new(), Vec::new());
        // A payload on S3 stays there: the copy points to it as well.
        let messages: Vec<_> = dead
            .iter()
            .map(|(_, entry, _)| entry.receipt.as_received(&entry.message))
            .collect();
        for ((index, entry, envelope), message) in dead.iter().zip(&messages) {
            let receipt = &entry.receipt;
            if receipt.is_copied() {
                continue;
            }
            match Entry::dead_letter(message, receipt.labels(), envelope, fifo, target.limit) {
                Ok(copy) => {
                    entries.push(copy);
                    of.push((*index, receipt));
                }
                Err(cause) => {
                    let error = too_large(target, &cause, call);
                    answers.push((*index, Settled::Failed(error.into())));
                }
            }
        }
        let clients = &target.clients;
        let mut sent = send(clients, &target.url, &entries, call).await;
        // Where the server refuses a whole call for one of its entries, that one fails alone.
        if entries.len() > 1 {
            for (sent, copy) in sent.iter_mut().zip(entries.chunks(1)) {
                if sent.as_ref().is_err_and(is_about_the_message) {
                    let alone = send(clients, &target.url, copy, call).await;
                    *sent = alone
                        .into_iter()
                        .next()
                        .unwrap_or_else(|| Err(call.unanswered()));
                }
            }
        }
        for ((index, receipt), (sent, copy)) in of.into_iter().zip(sent.into_iter().zip(&entries)) {
            match sent {
                Ok(_) => receipt.set_copied(),
                Err(error) => {
                    let what = format!("does not take the copy of {} bytes", copy.bytes());
                    let error = refusal(error, &target.arn, "sqs:SendMessage", &what, call);
                    answers.push((index, Settled::Failed(error.into())));
                }
            }
        }
        let is_final = |(_, answer): &(usize, Settled)| matches!(answer, Settled::Failed(error) if !error.is_transient());
        if answers.iter().any(is_final) {
            opened.dead_letter_target.doubt().await;
        }
        answers
    }
}

/// Returns whether a copy was refused by what may be a fault of another one: not for a missing right, and not for a missing queue.
fn is_about_the_message(error: &Error) -> bool {
    matches!(error, Error::Refused { .. }) && !code(error).is_some_and(is_denial)
}

/// Says that a copy is too large for its queue, and what to do.
fn too_large(target: &Target, cause: &str, call: Call<'_>) -> Error {
    let name = queue_name(&target.arn);
    let remedy = match target.limit < SQS_BYTES {
        true => {
            let set = set(call.endpoint, &target.url, "MaximumMessageSize", SQS_BYTES);
            format!("let it take more: {set}")
        }
        false => {
            "SQS itself moves it there, by the queue's `maxReceiveCount`; keep large payloads on S3"
                .to_owned()
        }
    };
    let cause = format!("it is too large for its dead-letter queue `{name}`: {cause}; {remedy}");
    call.refused(cause, None)
}
