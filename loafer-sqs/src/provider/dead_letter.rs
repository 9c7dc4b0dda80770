//! Dead letters: a confirmed copy in the dead-letter queue, then the message is deleted.

use std::{sync::Arc, time::Duration};

use loafer_core::{DeadLetter, Error, Settle, Settled};
use tokio::{sync::Mutex, time::Instant};

use super::{Opened, Receipt, SqsProvider};
use crate::{
    error::{Call, again},
    parcel::Parcel,
    publisher::send,
    queue::{self, Redrive},
};

/// After which time a queue without redrive policy is asked again: somebody may have set one.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// Where the dead letters of a queue go.
pub(super) struct DeadLetters(Mutex<Target>);

enum Target {
    /// The queue has no redrive policy, or none that we may read; as of then.
    None(Instant),
    /// The ARN in the redrive policy.
    Arn(String),
    /// The queue, found.
    Url(Arc<str>),
}

impl DeadLetters {
    pub(super) fn new(arn: Option<String>) -> Self {
        Self(Mutex::new(
            arn.map_or_else(|| Target::None(Instant::now()), Target::Arn),
        ))
    }

    /// The URL of the dead-letter queue, if there is one.
    pub(super) async fn url(
        &self,
        opened: &Opened,
        call: Call<'_>,
    ) -> Result<Option<Arc<str>>, Error> {
        let mut target = self.0.lock().await;
        if matches!(&*target, Target::None(asked) if asked.elapsed() >= ASK_AGAIN) {
            let attributes = queue::attributes(&opened.clients.sqs, &opened.url, call).await?;
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
        let url: Arc<str> = queue::url_of_arn(&opened.clients.sqs, arn, call)
            .await?
            .into();
        *target = Target::Url(Arc::clone(&url));
        Ok(Some(url))
    }

    /// The dead-letter queue may not be there any more: the next dead letter looks again.
    async fn forget(&self) {
        let before = Instant::now().checked_sub(ASK_AGAIN);
        *self.0.lock().await = Target::None(before.unwrap_or_else(Instant::now));
    }
}

/// Whether trying again at once is in vain: no such queue, no right, or a message that this queue does not take.
fn is_no_target(error: &Error) -> bool {
    matches!(error, Error::UnknownQueue { .. } | Error::Refused { .. })
}

impl SqsProvider {
    /// Copies to the dead-letter queue what is not copied yet, and deletes what is; gives all answers, by place in the batch.
    pub(super) async fn dead_letter(
        &self,
        opened: &Opened,
        dead: &[(usize, &Settle<Receipt>, &Arc<DeadLetter>)],
    ) -> Vec<(usize, Settled)> {
        if dead.is_empty() {
            return Vec::new();
        }
        let call = self.call("dead-lettering", &opened.clients.place);
        let for_all = |answer: &dyn Fn() -> Settled| {
            dead.iter().map(|(place, ..)| (*place, answer())).collect()
        };
        let url = match opened.dead_letters.url(opened, call).await {
            Ok(Some(url)) => url,
            Ok(None) => return for_all(&|| Settled::NoDeadLetterTarget),
            Err(error) if is_no_target(&error) => {
                tracing::warn!(queue = self.queue, %error, "no dead-letter queue");
                return for_all(&|| Settled::NoDeadLetterTarget);
            }
            Err(error) => return for_all(&|| Settled::Failed(again(&error).into())),
        };
        // What goes wrong from here on is of the dead-letter queue.
        let name = url.rsplit('/').next().unwrap_or(&url);
        let call = Call {
            queue: name,
            route: None,
            ..call
        };
        let mut answers = self.copy(opened, &url, dead, call).await;
        let copied: Vec<_> = dead
            .iter()
            .filter(|(_, entry, _)| entry.receipt.is_copied())
            .map(|(place, entry, _)| (*place, &entry.receipt))
            .collect();
        answers.extend(
            self.delete(opened, &copied)
                .await
                .into_iter()
                .map(|(place, fault)| (place, fault.into())),
        );
        answers
    }

    /// Sends the copies; marks what is confirmed, answers for the rest.
    async fn copy(
        &self,
        opened: &Opened,
        url: &str,
        dead: &[(usize, &Settle<Receipt>, &Arc<DeadLetter>)],
        call: Call<'_>,
    ) -> Vec<(usize, Settled)> {
        let fifo = queue::is_fifo(url);
        let (mut answers, mut parcels, mut of) = (Vec::new(), Vec::new(), Vec::new());
        // A payload on S3 stays there: the copy points to it, too.
        let messages: Vec<_> = dead
            .iter()
            .map(|(_, entry, _)| entry.receipt.as_received(&entry.message))
            .collect();
        for ((place, entry, envelope), message) in dead.iter().zip(&messages) {
            if entry.receipt.is_copied() {
                continue;
            }
            match Parcel::dead_letter(message, envelope, fifo) {
                Some(parcel) => {
                    parcels.push(parcel);
                    of.push((*place, *entry));
                }
                None => {
                    tracing::warn!(queue = self.queue, message_id = %entry.message.id(), "too large for a dead letter");
                    answers.push((*place, Settled::NoDeadLetterTarget));
                }
            }
        }
        let sent = send(&opened.clients.sqs, url, &parcels, call).await;
        for ((place, entry), sent) in of.into_iter().zip(sent) {
            match sent {
                Ok(_) => entry.receipt.set_copied(),
                Err(error) if is_no_target(&error) => {
                    tracing::warn!(queue = self.queue, message_id = %entry.message.id(), %error, "no dead letter");
                    opened.dead_letters.forget().await;
                    answers.push((place, Settled::NoDeadLetterTarget));
                }
                Err(error) => answers.push((place, Settled::Failed(error.into()))),
            }
        }
        answers
    }
}
