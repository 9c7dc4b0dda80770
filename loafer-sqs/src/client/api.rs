//! The four calls on messages: receive, delete, change visibility, send. All parts of the crate make them here, and only SQS has them.
//!
//! A batch call answers each of its entries. A caller names its entries by their index in a batch of its own, so that it may
//! leave some out; the faults come back under these indices.

use std::time::Duration;

use aws_sdk_sqs::{
    error::{BuildError, SdkError},
    types::{
        BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry,
        DeleteMessageBatchRequestEntry, Message, SendMessageBatchRequestEntry,
        builders::SendMessageBatchRequestEntryBuilder,
    },
};
use futures_util::future::join_all;
use loafer_core::{
    Error,
    broker::{Renewed, Settled},
    message::MessageId,
};
use tokio::time::timeout;

use super::{Clients, open_poll::OpenPoll};
use crate::{error::Call, message};

/// How many messages one call can carry (SQS and SNS API).
pub(crate) const ENTRIES: usize = 10;
/// The longest poll (SQS API: `ReceiveMessage`).
pub(super) const POLL: Duration = Duration::from_secs(20);
/// How much longer than its poll a receive may take. Connections can die without a word.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// What one receive asks for.
#[derive(Default)]
pub(crate) struct Poll {
    /// The most messages to return; SQS returns 10 at most.
    pub(crate) max: usize,
    /// How long to wait for the first message, 20 s at most.
    pub(crate) wait: Duration,
    /// The lease in seconds. `None` means the queue's own visibility timeout.
    pub(crate) visibility: Option<i32>,
    /// The id under which a FIFO queue repeats the answer of a lost receive.
    pub(crate) attempt: Option<String>,
}

/// Why a receive brought no messages.
pub(crate) struct NotReceived {
    pub(crate) error: Error,
    /// Whether SQS answered. If it did not, it may have leased messages that nobody got.
    pub(crate) is_answered: bool,
}

impl From<NotReceived> for Error {
    fn from(not: NotReceived) -> Self {
        not.error
    }
}

/// Why an entry of a batch call was not done.
pub(crate) enum Fault {
    /// The receipt handle is not valid any more: somebody else may have the message.
    Lost,
    /// The call was answered, and this entry alone failed.
    Entry(Error),
    /// The whole call failed, after the SDK's own attempts.
    Call(Error),
}

/// The index of each entry that was not done, in the batch of the caller.
pub(crate) type Faults = Vec<(usize, Fault)>;

impl Fault {
    /// Returns the error. `None` means that the lease was lost.
    pub(crate) fn into_error(self) -> Option<Error> {
        match self {
            Self::Lost => None,
            Self::Entry(error) | Self::Call(error) => Some(error),
        }
    }
}

impl From<Fault> for Settled {
    fn from(fault: Fault) -> Self {
        fault
            .into_error()
            .map_or(Self::Lost, |error| Self::Failed(error.into()))
    }
}

impl From<Fault> for Renewed {
    fn from(fault: Fault) -> Self {
        fault
            .into_error()
            .map_or(Self::Lost, |error| Self::Failed(error.into()))
    }
}

impl Clients {
    /// Receives messages, with all their attributes, in one attempt.
    pub(crate) async fn receive(
        &self,
        url: &str,
        poll: Poll,
        call: Call<'_>,
    ) -> Result<Vec<Message>, NotReceived> {
        let wait = poll.wait.min(POLL);
        #[allow(
            deprecated,
            reason = "servers and gateways of before 2024 know `AttributeNames` alone"
        )]
        let receive = self
            .receive
            .receive_message()
            .set_attribute_names(Some(message::asked_of_old()))
            .queue_url(url)
            .max_number_of_messages(poll.max.clamp(1, ENTRIES) as i32)
            .wait_time_seconds(wait.as_secs() as i32)
            .set_visibility_timeout(poll.visibility)
            .set_message_system_attribute_names(Some(message::ASKED.into()))
            .message_attribute_names("All")
            .set_receive_request_attempt_id(poll.attempt);
        let mut poll = OpenPoll::new(receive.send(), self, url, call);
        let Ok(answer) = timeout(wait + GRACE, &mut poll).await else {
            poll.give_up();
            return Err(NotReceived {
                error: call.timed_out(wait + GRACE),
                is_answered: false,
            });
        };
        match answer {
            Ok(answer) => Ok(answer.messages.unwrap_or_default()),
            Err(error) => Err(NotReceived {
                error: call.failed(&error),
                is_answered: matches!(error, SdkError::ServiceError(_)),
            }),
        }
    }

    /// Deletes messages by their receipt handles, ten a call, all calls at once.
    pub(crate) async fn delete(
        &self,
        url: &str,
        handles: &[(usize, &str)],
        call: Call<'_>,
    ) -> Faults {
        let calls = handles
            .chunks(ENTRIES)
            .map(|ten| self.delete_ten(url, ten, call));
        join_all(calls).await.into_iter().flatten().collect()
    }

    async fn delete_ten(&self, url: &str, ten: &[(usize, &str)], call: Call<'_>) -> Faults {
        let entries = ten.iter().enumerate().map(|(id, (_, handle))| {
            DeleteMessageBatchRequestEntry::builder()
                .id(id.to_string())
                .receipt_handle(*handle)
                .build()
        });
        let entries = match entries.collect::<Result<Vec<_>, _>>() {
            Ok(entries) => entries,
            Err(error) => return all(ten, || call.unsendable(&error)),
        };
        let delete = self.sqs.delete_message_batch().queue_url(url);
        match Box::pin(delete.set_entries(Some(entries)).send()).await {
            Ok(answer) => {
                let done = answer.successful().iter().map(|done| (done.id(), Ok(())));
                let failed = answer.failed().iter().map(|failed| {
                    let outcome = match is_gone(failed) {
                        true => Ok(()),
                        false => Err(of_lease(failed, call)),
                    };
                    (failed.id(), outcome)
                });
                by_index(ten, by_entry(ten.len(), done.chain(failed), call))
            }
            Err(error) => all(ten, || call.failed(&error)),
        }
    }

    /// Sets when leased messages are visible again, by receipt handle and seconds from now: ten a call, all calls at once.
    pub(crate) async fn change(
        &self,
        url: &str,
        changes: &[(usize, (&str, i32))],
        call: Call<'_>,
    ) -> Faults {
        change(&self.sqs, url, changes, call).await
    }

    /// Makes the same calls on the connections of renewals.
    pub(crate) async fn renew(
        &self,
        url: &str,
        changes: &[(usize, (&str, i32))],
        call: Call<'_>,
    ) -> Faults {
        change(&self.renewing, url, changes, call).await
    }

    /// Sends at most ten messages in one call; returns an answer for each, in order.
    pub(crate) async fn send(
        &self,
        url: &str,
        ten: Vec<Result<SendMessageBatchRequestEntryBuilder, BuildError>>,
        call: Call<'_>,
    ) -> Vec<Result<MessageId, Fault>> {
        debug_assert!(ten.len() <= ENTRIES, "one call has at most ten entries");
        let count = ten.len();
        let entry = |(id, entry): (usize, Result<SendMessageBatchRequestEntryBuilder, _>)| {
            entry?.id(id.to_string()).build()
        };
        let entries = ten.into_iter().enumerate().map(entry);
        let entries = match entries.collect::<Result<Vec<SendMessageBatchRequestEntry>, _>>() {
            Ok(entries) => entries,
            Err(error) => return none_sent(count, || call.unsendable(&error)),
        };
        let send = self.sqs.send_message_batch().queue_url(url);
        match Box::pin(send.set_entries(Some(entries)).send()).await {
            Ok(answer) => {
                let sent = answer
                    .successful()
                    .iter()
                    .map(|sent| (sent.id(), Ok(MessageId::from(sent.message_id()))));
                let failed = answer
                    .failed()
                    .iter()
                    .map(|failed| (failed.id(), Err(of_entry(failed, call))));
                by_entry(count, sent.chain(failed), call)
            }
            Err(error) => none_sent(count, || call.failed(&error)),
        }
    }
}

async fn change(
    client: &aws_sdk_sqs::Client,
    url: &str,
    changes: &[(usize, (&str, i32))],
    call: Call<'_>,
) -> Faults {
    let calls = changes
        .chunks(ENTRIES)
        .map(|ten| change_ten(client, url, ten, call));
    join_all(calls).await.into_iter().flatten().collect()
}

async fn change_ten(
    client: &aws_sdk_sqs::Client,
    url: &str,
    ten: &[(usize, (&str, i32))],
    call: Call<'_>,
) -> Faults {
    let entries = ten.iter().enumerate().map(|(id, (_, (handle, seconds)))| {
        ChangeMessageVisibilityBatchRequestEntry::builder()
            .id(id.to_string())
            .receipt_handle(*handle)
            .visibility_timeout(*seconds)
            .build()
    });
    let entries = match entries.collect::<Result<Vec<_>, _>>() {
        Ok(entries) => entries,
        Err(error) => return all(ten, || call.unsendable(&error)),
    };
    let change = client.change_message_visibility_batch().queue_url(url);
    match Box::pin(change.set_entries(Some(entries)).send()).await {
        Ok(answer) => {
            let done = answer.successful().iter().map(|done| (done.id(), Ok(())));
            let failed = answer
                .failed()
                .iter()
                .map(|failed| (failed.id(), Err(of_lease(failed, call))));
            by_index(ten, by_entry(ten.len(), done.chain(failed), call))
        }
        Err(error) => all(ten, || call.failed(&error)),
    }
}

/// Gives each entry of an answered call its answer, by the entry's id. The first answer counts; an entry without one has failed.
pub(crate) fn by_entry<'i, T>(
    entries: usize,
    answers: impl Iterator<Item = (&'i str, Result<T, Fault>)>,
    call: Call<'_>,
) -> Vec<Result<T, Fault>> {
    let mut by_entry: Vec<_> = (0..entries).map(|_| None).collect();
    for (id, answer) in answers {
        let entry = id
            .parse()
            .ok()
            .and_then(|index: usize| by_entry.get_mut(index));
        if let Some(entry) = entry {
            entry.get_or_insert(answer);
        }
    }
    by_entry
        .into_iter()
        .map(|answer| answer.unwrap_or_else(|| Err(Fault::Entry(call.unanswered()))))
        .collect()
}

/// Returns the faults of one call, by the index of the caller.
fn by_index<E>(ten: &[(usize, E)], answers: Vec<Result<(), Fault>>) -> Faults {
    ten.iter()
        .zip(answers)
        .filter_map(|((index, _), answer)| Some((*index, answer.err()?)))
        .collect()
}

/// Returns the faults of a call that failed as a whole.
fn all<E>(ten: &[(usize, E)], error: impl Fn() -> Error) -> Faults {
    ten.iter()
        .map(|(index, _)| (*index, Fault::Call(error())))
        .collect()
}

/// Returns the answers of a call that failed as a whole.
pub(crate) fn none_sent(
    entries: usize,
    error: impl Fn() -> Error,
) -> Vec<Result<MessageId, Fault>> {
    (0..entries).map(|_| Err(Fault::Call(error()))).collect()
}

/// Returns whether a failed delete found the message deleted already.
fn is_gone(failed: &BatchResultErrorEntry) -> bool {
    failed
        .message()
        .is_some_and(|message| message.contains("not exist"))
}

/// Judges a failed entry that names a lease. The only value of ours in it that can be wrong is its receipt handle.
fn of_lease(failed: &BatchResultErrorEntry, call: Call<'_>) -> Fault {
    match failed.code().rsplit('.').next().unwrap_or_default() {
        "ReceiptHandleIsInvalid"
        | "InvalidParameterValue"
        | "InvalidAttributeValue"
        | "MessageNotInflight" => Fault::Lost,
        _ => of_entry(failed, call),
    }
}

fn of_entry(failed: &BatchResultErrorEntry, call: Call<'_>) -> Fault {
    Fault::Entry(call.entry_failed(failed.code(), failed.message(), failed.sender_fault()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Endpoint;

    fn failure(id: &str, code: &str) -> BatchResultErrorEntry {
        BatchResultErrorEntry::builder()
            .id(id)
            .code(code)
            .sender_fault(true)
            .build()
            .unwrap()
    }

    #[test]
    fn each_entry_has_its_own_answer() {
        let endpoint = Endpoint::new("sqs", "us-east-1", None);
        let call = Call::new("delete", "orders", &endpoint);
        let failed = [
            failure("1", "ReceiptHandleIsInvalid"),
            failure("3", "InternalError"),
            failure("9", "InternalError"),
        ];
        let failed = failed
            .iter()
            .map(|failed| (failed.id(), Err(of_lease(failed, call))));
        let done = ["0", "4"].into_iter().map(|id| (id, Ok(())));
        let ten: Vec<_> = (20..25).map(|index| (index, ())).collect();
        let faults = by_index(&ten, by_entry(5, done.chain(failed), call));
        let said: Vec<_> = faults
            .into_iter()
            .map(|(index, fault)| (index, fault.into_error().map(|error| error.to_string())))
            .collect();
        assert_eq!(said[0], (21, None));
        assert_eq!(said[1].0, 22);
        let refused = "delete of `orders` was refused: InternalError".to_owned();
        assert_eq!(said[2], (23, Some(refused)));
        assert_eq!(said.len(), 3);
    }

    #[test]
    fn the_first_answer_counts() {
        let endpoint = Endpoint::new("sqs", "us-east-1", None);
        let call = Call::new("send", "orders", &endpoint);
        let answers = [("9", Ok(1)), ("9", Ok(2)), ("10", Ok(3)), ("x", Ok(4))];
        let answers = by_entry(10, answers.into_iter(), call);
        assert!(matches!(answers[9], Ok(1)));
        assert_eq!(answers.iter().filter(|answer| answer.is_err()).count(), 9);
    }
}
