//! Letters on lease: received, given back, deleted.

use std::{sync::Arc, time::Duration};

use aws_sdk_sqs::{
    error::SdkError,
    operation::receive_message::ReceiveMessageError,
    types::{ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry},
};
use loafer_core::{Delivery, Error};
use tokio::time::timeout;

use super::{Found, Lease, LetterReceipt};
use crate::{
    message,
    parcel::ENTRIES,
    provider::batch::{Fault, faults},
};

/// For how long letters are ours, in seconds: enough to look through many thousands; whoever kills us waits as long.
const LEASE: i32 = 120;
/// How long a receive waits. A poll that does not wait asks only some of SQS's servers, and may miss what is there.
const POLL: i32 = 1;
/// What a receive may take.
const ATTEMPT: Duration = Duration::from_secs(6);

impl Found {
    pub(super) async fn lease(
        &self,
        max: usize,
        into: &mut Vec<Delivery<LetterReceipt>>,
    ) -> Result<(), Error> {
        let receive = self
            .clients
            .receive
            .receive_message()
            .queue_url(&self.letters.url)
            .max_number_of_messages(max.clamp(1, ENTRIES) as i32)
            .visibility_timeout(LEASE)
            .wait_time_seconds(POLL)
            .set_message_system_attribute_names(Some(message::ASKED.into()))
            .message_attribute_names("All");
        let call = self.call("receive", &self.clients.place);
        let answer: Result<_, SdkError<ReceiveMessageError>> =
            timeout(ATTEMPT, Box::pin(receive.send()))
                .await
                .map_err(|_| call.timed_out(ATTEMPT))?;
        let letters = answer.map_err(|error| call.failed(&error))?.messages;
        into.extend(letters.unwrap_or_default().into_iter().map(|letter| {
            let attributes = letter.message_attributes.clone().unwrap_or_default();
            let (message, handle) = message::from_sdk(letter);
            let receipt = LetterReceipt(Arc::new(Lease { handle, attributes }));
            Delivery { receipt, message }
        }));
        Ok(())
    }

    pub(super) async fn give_back(&self, leases: &[LetterReceipt]) -> Result<(), Error> {
        let mut first = Ok(());
        for chunk in leases.chunks(ENTRIES) {
            if let Err(error) = self.give_ten_back(chunk).await {
                // Thousands would take hours to fail one call after the other.
                let nobody = matches!(error, Error::Unreachable { .. });
                first = first.and(Err(error));
                if nobody {
                    break;
                }
            }
        }
        first
    }

    async fn give_ten_back(&self, chunk: &[LetterReceipt]) -> Result<(), Error> {
        let call = self.call("giving back letters", &self.clients.place);
        let entries = chunk.iter().enumerate().map(|(id, receipt)| {
            ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(id.to_string())
                .receipt_handle(&receipt.0.handle)
                .visibility_timeout(0)
                .build()
        });
        let entries = entries.collect::<Result<Vec<_>, _>>();
        let change = self
            .clients
            .sqs
            .change_message_visibility_batch()
            .queue_url(&self.letters.url)
            .set_entries(Some(entries.map_err(|error| call.unsendable(&error))?));
        let answer = Box::pin(change.send())
            .await
            .map_err(|error| call.failed(&error))?;
        let done = answer.successful().iter().map(|done| done.id());
        let faults = faults(chunk.len(), done, answer.failed(), call, |_| false);
        // A lease that is over is what was wanted.
        let failed = faults.into_iter().find_map(|(_, fault)| match fault {
            Fault::Failed(error) => Some(error),
            Fault::Lost => None,
        });
        failed.map_or(Ok(()), Err)
    }

    /// Deletes at most ten letters; gives the faults, by place.
    pub(super) async fn delete(&self, letters: &[&LetterReceipt]) -> Vec<(usize, Fault)> {
        let call = self.call("delete", &self.clients.place);
        let all = |error: &dyn Fn() -> Error| {
            let places = 0..letters.len();
            places
                .map(|place| (place, Fault::Failed(error())))
                .collect()
        };
        let entries = letters.iter().enumerate().map(|(id, receipt)| {
            DeleteMessageBatchRequestEntry::builder()
                .id(id.to_string())
                .receipt_handle(&receipt.0.handle)
                .build()
        });
        let entries = match entries.collect::<Result<Vec<_>, _>>() {
            Ok(entries) => entries,
            Err(error) => return all(&|| call.unsendable(&error)),
        };
        let delete = self
            .clients
            .sqs
            .delete_message_batch()
            .queue_url(&self.letters.url)
            .set_entries(Some(entries));
        match Box::pin(delete.send()).await {
            Ok(answer) => {
                let done = answer.successful().iter().map(|done| done.id());
                faults(letters.len(), done, answer.failed(), call, |_| false)
            }
            Err(error) => all(&|| call.failed(&error)),
        }
    }
}
