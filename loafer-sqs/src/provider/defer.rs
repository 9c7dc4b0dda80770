//! Deferring: a confirmed copy in the same queue, with the delay that is left, then the message is deleted. It is apart from `settle` as dead letters
//! are.

use std::time::Instant;

use loafer_core::{
    Error,
    broker::{DueTime, Settle, Settled},
};

use super::{Opened, Receipt, SqsProvider};
use crate::{outgoing::Entry, publisher::send};

/// A message to defer, its index in the batch, and when it is due.
pub(super) type Deferred<'b> = (usize, &'b Settle<Receipt>, DueTime);

impl SqsProvider {
    /// Copies messages unless they are copied already, and deletes those that are. Returns the answers by index in the batch; a message without an
    /// answer is done.
    pub(super) async fn defer(
        &self,
        opened: &Opened,
        deferred: &[Deferred<'_>],
    ) -> Vec<(usize, Settled)> {
        let (clients, url) = (&opened.found.clients, &opened.found.url);
        let call = self.call("deferring", &clients.endpoint);
        let now = Instant::now();
        // A payload on S3 stays there: the copy points to it as well.
        let messages: Vec<_> = deferred
            .iter()
            .map(|(_, entry, _)| entry.receipt.as_received(&entry.message))
            .collect();
        let (mut answers, mut copies, mut of) = (Vec::new(), Vec::new(), Vec::new());
        for ((index, entry, until), message) in deferred.iter().zip(&messages) {
            if entry.receipt.is_copied() {
                continue;
            }
            let delay = until.left(now).min(clients.longest_delay);
            match Entry::deferred(message, entry.receipt.labels(), *until, delay) {
                Ok(copy) => {
                    copies.push(copy);
                    of.push((*index, *entry, *until));
                }
                Err(cause) => {
                    let error = call.refused(cause, None);
                    answers.push((*index, Settled::Failed(error.into())));
                }
            }
        }
        let mut refused = Vec::new();
        let sent = send(clients, url, &copies, call).await;
        for ((index, entry, until), sent) in of.into_iter().zip(sent) {
            match sent {
                Ok(_) => entry.receipt.set_copied(),
                Err(error) if !error.is_transient() => {
                    self.not_copied(&error);
                    let hidden = entry.receipt.visibility(until.left(now));
                    refused.push((index, &entry.receipt, hidden));
                }
                Err(error) => answers.push((index, Settled::Failed(error.into()))),
            }
        }
        let hidden = self.change(opened, "deferring", &refused).await;
        answers.extend(
            hidden
                .into_iter()
                .map(|(index, fault)| (index, fault.into())),
        );
        let entries = deferred.iter().map(|(index, entry, _)| (*index, *entry));
        answers.extend(self.delete_copied(opened, entries).await);
        answers
    }

    /// Says once that the queue does not take our copies. Their messages are hidden instead.
    fn not_copied(&self, error: &Error) {
        self.not_copied_told.call_once(|| {
            let (route, queue) = (&self.route, &self.queue);
            tracing::warn!(route, queue, %error, "a message that is not due yet could not be copied to its own queue: it is hidden until then, and each 12 hours of that cost a receive; allow sqs:SendMessage on the queue");
        });
    }
}
