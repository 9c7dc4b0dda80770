//! Settling: acks, retries, releases, dead letters.

use std::{sync::Arc, time::Duration};

use aws_sdk_sqs::types::{BatchResultErrorEntry, DeleteMessageBatchRequestEntry as Entry};
use futures_util::future::{join_all, join4};
use loafer_core::{DeadLetter, Settle, Settled, Settlement};

use super::{
    Opened, Receipt, SqsProvider,
    batch::{self, Fault},
    visibility::Change,
};
use crate::parcel::ENTRIES;

impl SqsProvider {
    /// One call a kind of settlement and ten entries, all at once.
    pub(super) async fn settle_opened(
        &self,
        opened: &Opened,
        batch: &[Settle<Receipt>],
        answers: &mut Vec<Settled>,
    ) {
        let (mut acks, mut retries, mut releases) = (Vec::new(), Vec::new(), Vec::new());
        let mut dead: Vec<(usize, &Settle<Receipt>, &Arc<DeadLetter>)> = Vec::new();
        let first = answers.len();
        for (place, entry) in batch.iter().enumerate() {
            let receipt = &entry.receipt;
            let change = |after| Change {
                place,
                receipt,
                seconds: receipt.visibility(after),
            };
            answers.push(Settled::Done);
            match &entry.settlement {
                Settlement::Ack => acks.push((place, receipt)),
                Settlement::Retry { after: None } => {}
                Settlement::Retry { after: Some(after) } => retries.push(change(*after)),
                Settlement::Release => releases.push(change(Duration::ZERO)),
                Settlement::DeadLetter(envelope) => dead.push((place, entry, envelope)),
                // A settlement this version does not know is left to the end of its lease.
                _ => {}
            }
        }
        let (deleted, retried, released, buried) = join4(
            self.delete(opened, &acks),
            self.change(opened, "retry", &retries),
            self.change(opened, "release", &releases),
            self.dead_letter(opened, &dead),
        )
        .await;
        let failed: Vec<_> = deleted.iter().map(|(place, _)| *place).collect();
        let gone = acks.iter().filter(|(place, _)| !failed.contains(place));
        self.clean_up(opened, gone.map(|(_, receipt)| *receipt));
        for (place, fault) in deleted.into_iter().chain(retried).chain(released) {
            answers[first + place] = fault.into();
        }
        for (place, answer) in buried {
            answers[first + place] = answer;
        }
    }

    /// Deletes messages, in calls of ten at once; gives the faults, by place in the batch.
    pub(super) async fn delete(
        &self,
        opened: &Opened,
        acks: &[(usize, &Receipt)],
    ) -> Vec<(usize, Fault)> {
        let calls = acks
            .chunks(ENTRIES)
            .map(|chunk| self.delete_ten(opened, chunk));
        join_all(calls).await.into_iter().flatten().collect()
    }

    async fn delete_ten(
        &self,
        opened: &Opened,
        chunk: &[(usize, &Receipt)],
    ) -> Vec<(usize, Fault)> {
        let call = self.call("delete", &opened.clients.place);
        let all = |error: &dyn Fn() -> loafer_core::Error| {
            chunk
                .iter()
                .map(|(place, _)| (*place, Fault::Failed(error())))
                .collect()
        };
        let entries = chunk.iter().enumerate().map(|(id, (_, receipt))| {
            Entry::builder()
                .id(id.to_string())
                .receipt_handle(receipt.handle())
                .build()
        });
        let entries = match entries.collect::<Result<Vec<_>, _>>() {
            Ok(entries) => entries,
            Err(error) => return all(&|| call.unsendable(&error)),
        };
        let delete = opened.clients.sqs.delete_message_batch();
        match Box::pin(
            delete
                .queue_url(&opened.url)
                .set_entries(Some(entries))
                .send(),
        )
        .await
        {
            Ok(answer) => {
                let done = answer.successful().iter().map(|done| done.id());
                let faults = batch::faults(chunk.len(), done, answer.failed(), call, is_gone);
                faults
                    .into_iter()
                    .map(|(id, fault)| (chunk[id].0, fault))
                    .collect()
            }
            Err(error) => all(&|| call.failed(&error)),
        }
    }
}

/// A message that is deleted already is deleted.
fn is_gone(failure: &BatchResultErrorEntry) -> bool {
    failure
        .message()
        .is_some_and(|message| message.contains("not exist"))
}
