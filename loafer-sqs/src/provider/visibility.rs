//! When a leased message is visible again: renewals, retries, releases.

use std::time::Duration;

use aws_sdk_sqs::{error::BuildError, types::ChangeMessageVisibilityBatchRequestEntry as Entry};
use futures_util::future::join_all;
use loafer_core::Renewed;

use super::{
    Opened, Receipt, SqsProvider,
    batch::{self, Fault},
};
use crate::parcel::ENTRIES;

/// A new visibility timeout, and the place of its entry in the batch.
pub(super) struct Change<'r> {
    pub(super) place: usize,
    pub(super) receipt: &'r Receipt,
    /// From now.
    pub(super) seconds: i32,
}

impl Change<'_> {
    fn entry(&self, id: usize) -> Result<Entry, BuildError> {
        let entry = Entry::builder()
            .id(id.to_string())
            .receipt_handle(self.receipt.handle());
        entry.visibility_timeout(self.seconds).build()
    }
}

impl SqsProvider {
    pub(super) async fn renew_opened(
        &self,
        opened: &Opened,
        leases: &[Receipt],
        by: Duration,
        answers: &mut Vec<Renewed>,
    ) {
        let first = answers.len();
        let mut changes = Vec::with_capacity(leases.len());
        for (place, receipt) in leases.iter().enumerate() {
            // A timeout of zero would be a release.
            if receipt.is_used_up() {
                answers.push(Renewed::Lost);
            } else {
                answers.push(Renewed::Done);
                changes.push(Change {
                    place,
                    receipt,
                    seconds: receipt.visibility(by),
                });
            }
        }
        for (place, fault) in self.change(opened, "renewal", &changes).await {
            answers[first + place] = fault.into();
        }
    }

    /// Sets visibility timeouts, in calls of ten at once; gives the faults, by place in the batch.
    pub(super) async fn change(
        &self,
        opened: &Opened,
        what: &'static str,
        changes: &[Change<'_>],
    ) -> Vec<(usize, Fault)> {
        join_all(
            changes
                .chunks(ENTRIES)
                .map(|chunk| self.change_ten(opened, what, chunk)),
        )
        .await
        .into_iter()
        .flatten()
        .collect()
    }

    async fn change_ten(
        &self,
        opened: &Opened,
        what: &'static str,
        chunk: &[Change<'_>],
    ) -> Vec<(usize, Fault)> {
        let call = self.call(what, &opened.clients.place);
        let all = |error: &dyn Fn() -> loafer_core::Error| {
            chunk
                .iter()
                .map(|change| (change.place, Fault::Failed(error())))
                .collect()
        };
        let entries = chunk
            .iter()
            .enumerate()
            .map(|(id, change)| change.entry(id))
            .collect::<Result<Vec<_>, _>>();
        let entries = match entries {
            Ok(entries) => entries,
            Err(error) => return all(&|| call.unsendable(&error)),
        };
        let change = opened.clients.sqs.change_message_visibility_batch();
        match Box::pin(
            change
                .queue_url(&opened.url)
                .set_entries(Some(entries))
                .send(),
        )
        .await
        {
            Ok(answer) => {
                let done = answer.successful().iter().map(|done| done.id());
                let faults = batch::faults(chunk.len(), done, answer.failed(), call, |_| false);
                faults
                    .into_iter()
                    .map(|(id, fault)| (chunk[id].place, fault))
                    .collect()
            }
            Err(error) => all(&|| call.failed(&error)),
        }
    }
}
