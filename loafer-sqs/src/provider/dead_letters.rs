//! Dead-lettering: a confirmed copy in the dead-letter queue, then the message is deleted. It is apart from `settle` for its size.

use std::{sync::Arc, time::Duration};

use loafer_core::{
    Error,
    broker::{DeadLetter, Settle, Settled},
};
use tokio::{sync::Mutex, time::Instant};

use super::{Opened, Receipt, SqsProvider};
use crate::{
    error::Call,
    names::{QueueAddress, is_fifo, queue_name},
    outgoing::Entry,
    publisher::send,
    topology::{self, Redrive},
};

/// After which time a queue without redrive policy is asked again, since somebody may have set one.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// Where the dead letters of a queue go.
pub(super) struct DeadLetterTarget(Mutex<Target>);

enum Target {
    /// At that time the queue had no redrive policy, or none that we may read.
    None(Instant),
    /// The ARN in the redrive policy.
    Arn(String),
    /// The URL of that queue.
    Url(Arc<str>),
}

impl DeadLetterTarget {
    pub(super) fn new(arn: Option<String>) -> Self {
        Self(Mutex::new(
            arn.map_or_else(|| Target::None(Instant::now()), Target::Arn),
        ))
    }

    /// Returns the URL of the dead-letter queue, if there is one.
    pub(super) async fn url(
        &self,
        opened: &Opened,
        call: Call<'_>,
    ) -> Result<Option<Arc<str>>, Error> {
        let mut target = self.0.lock().await;
        if matches!(&*target, Target::None(asked) if asked.elapsed() >= ASK_AGAIN) {
            let (sqs, url) = (&opened.found.clients.sqs, &opened.found.url);
            let attributes = topology::attributes(sqs, url, call).await?;
            *target = match attributes.and_then(|attributes| attributes.redrive) {
                Some(Redrive { target, .. }) => Target::Arn(target),
                None => Target::None(Instant::now()),
            };
        }
        let arn = match &*target {
            Target::None(_) => return Ok(None),
            Target::Url(url) => return Ok(Some(Arc::clone(url))),
            Target::Arn(arn) => arn,
        };
        let address = QueueAddress::parse(arn);
        let call = call.on(address.name());
        let url = topology::url(&opened.found.clients.sqs, address, call).await?;
        let url: Arc<str> = url.into();
        *target = Target::Url(Arc::clone(&url));
        Ok(Some(url))
    }

    /// Forgets the queue, which may have been deleted. The next dead letter looks again.
    async fn forget(&self) {
        let before = Instant::now().checked_sub(ASK_AGAIN);
        *self.0.lock().await = Target::None(before.unwrap_or_else(Instant::now));
    }
}

/// Returns whether trying again at once is in vain: there is no such queue, we may not send to it, or it does not take the message.
pub(super) fn is_no_target(error: &Error) -> bool {
    matches!(error, Error::UnknownQueue { .. } | Error::Refused { .. })
}

impl SqsProvider {
    /// Copies messages to the dead-letter queue unless they are copied already, and deletes those that are. Returns the answers by index in
    /// the batch; a message without an answer is done.
    pub(super) async fn dead_letter(
        &self,
        opened: &Opened,
        dead: &[(usize, &Settle<Receipt>, &Arc<DeadLetter>)],
    ) -> Vec<(usize, Settled)> {
        if dead.is_empty() {
            return Vec::new();
        }
        let call = self.call("dead-lettering", &opened.found.clients.endpoint);
        let for_all = |answer: &dyn Fn() -> Settled| {
            dead.iter().map(|(index, ..)| (*index, answer())).collect()
        };
        // Boxed, as the copies are below: most batches have no dead letter and should not carry their futures.
        let url = match Box::pin(opened.dead_letter_target.url(opened, call)).await {
            Ok(Some(url)) => url,
            Ok(None) => return for_all(&|| Settled::NoDeadLetterTarget),
            Err(error) if is_no_target(&error) => {
                tracing::warn!(queue = self.queue, %error, "the dead-letter queue can't be found: rejected messages are retried");
                return for_all(&|| Settled::NoDeadLetterTarget);
            }
            Err(error) => return for_all(&|| Settled::Failed(error.clone().into())),
        };
        // From here on errors are about the dead-letter queue.
        let call = call.on(queue_name(&url));
        let mut answers = Box::pin(self.copy(opened, &url, dead, call)).await;
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
        url: &str,
        dead: &[(usize, &Settle<Receipt>, &Arc<DeadLetter>)],
        call: Call<'_>,
    ) -> Vec<(usize, Settled)> {
        let fifo = is_fifo(url);
        let (mut answers, mut entries, mut of) = (Vec::new(), Vec::new(), Vec::new());
        // A payload on S3 stays there: the copy points to it as well.
        let messages: Vec<_> = dead
            .iter()
            .map(|(_, entry, _)| entry.receipt.as_received(&entry.message))
            .collect();
        for ((index, entry, envelope), message) in dead.iter().zip(&messages) {
            if entry.receipt.is_copied() {
                continue;
            }
            match Entry::dead_letter(message, envelope, fifo) {
                Some(copy) => {
                    entries.push(copy);
                    of.push((*index, *entry));
                }
                None => {
                    tracing::warn!(queue = self.queue, message_id = %entry.message.id(), "the message is too large for its dead-letter queue: it is retried");
                    answers.push((*index, Settled::NoDeadLetterTarget));
                }
            }
        }
        let sent = send(&opened.found.clients, url, &entries, call).await;
        for ((index, entry), sent) in of.into_iter().zip(sent) {
            match sent {
                Ok(_) => entry.receipt.set_copied(),
                Err(error) if is_no_target(&error) => {
                    tracing::warn!(queue = self.queue, message_id = %entry.message.id(), %error, "the message could not be copied to the dead-letter queue: it is retried");
                    opened.dead_letter_target.forget().await;
                    answers.push((index, Settled::NoDeadLetterTarget));
                }
                Err(error) => answers.push((index, Settled::Failed(error.into()))),
            }
        }
        answers
    }
}
