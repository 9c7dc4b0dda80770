//! Settling: acks, retries, releases, deferred messages, dead letters; and renewals, which make the same call as retries.

use std::time::Duration;

use futures_util::future::{OptionFuture, join5};
use loafer_core::broker::{Renewed, Settle, Settled, Settlement};

use super::{Opened, Receipt, SqsProvider, dead_letters::Dead, defer::Deferred};
use crate::client::Faults;

/// A receipt with a new visibility timeout in seconds, and its index in the batch.
pub(super) type Change<'r> = (usize, &'r Receipt, i32);

impl SqsProvider {
    /// Makes one call for each kind of settlement and ten entries, all at once.
    pub(super) async fn settle_opened(
        &self,
        opened: &Opened,
        batch: &[Settle<Receipt>],
        answers: &mut Vec<Settled>,
    ) {
        let (mut acks, mut retries, mut releases) = (Vec::new(), Vec::new(), Vec::new());
        let mut dead: Vec<Dead<'_>> = Vec::new();
        let mut early: Vec<Deferred<'_>> = Vec::new();
        let first = answers.len();
        for (index, entry) in batch.iter().enumerate() {
            let receipt = &entry.receipt;
            let change = |after| (index, receipt, receipt.visibility(after));
            answers.push(Settled::Done);
            match &entry.settlement {
                Settlement::Ack => acks.push((index, receipt)),
                Settlement::Retry { after: None } => {}
                Settlement::Retry { after: Some(after) } => retries.push(change(*after)),
                Settlement::Release | Settlement::Isolate => releases.push(change(Duration::ZERO)),
                Settlement::Defer { until } => early.push((index, entry, *until)),
                Settlement::DeadLetter(envelope) => dead.push((index, entry, envelope)),
            }
        }
        // Boxed: most batches defer and release nothing, and should not carry these futures.
        let deferring = (!early.is_empty()).then(|| Box::pin(self.defer(opened, &early)));
        let releasing =
            (!releases.is_empty()).then(|| Box::pin(self.change(opened, "release", &releases)));
        let (deleted, retried, released, deferred, buried) = join5(
            self.delete(opened, &acks),
            self.change(opened, "retry", &retries),
            OptionFuture::from(releasing),
            OptionFuture::from(deferring),
            self.dead_letter(opened, &dead),
        )
        .await;
        let failed: Vec<_> = deleted.iter().map(|(index, _)| *index).collect();
        let gone = acks.iter().filter(|(index, _)| !failed.contains(index));
        self.clean_up(opened, gone.map(|(_, receipt)| *receipt));
        let released = released.into_iter().flatten();
        for (index, fault) in deleted.into_iter().chain(retried).chain(released) {
            answers[first + index] = fault.into();
        }
        for (index, answer) in deferred.into_iter().flatten().chain(buried) {
            answers[first + index] = answer;
        }
    }

    pub(super) async fn renew_opened(
        &self,
        opened: &Opened,
        leases: &[Receipt],
        by: Duration,
        answers: &mut Vec<Renewed>,
    ) {
        let first = answers.len();
        let mut changes = Vec::with_capacity(leases.len());
        for (index, receipt) in leases.iter().enumerate() {
            // A timeout of zero would be a release.
            if receipt.is_used_up() {
                answers.push(Renewed::Lost);
            } else {
                answers.push(Renewed::Done);
                changes.push((index, receipt, receipt.visibility(by)));
            }
        }
        let clients = &opened.found.clients;
        let call = self.call("renewal", &clients.endpoint);
        let changes = handles(&changes);
        for (index, fault) in clients.renew(&opened.found.url, &changes, call).await {
            answers[first + index] = fault.into();
        }
    }

    /// Deletes messages; returns the faults by index in the batch.
    pub(super) async fn delete(&self, opened: &Opened, acks: &[(usize, &Receipt)]) -> Faults {
        let call = self.call("delete", &opened.found.clients.endpoint);
        let handles: Vec<_> = acks
            .iter()
            .map(|(index, receipt)| (*index, receipt.handle()))
            .collect();
        let clients = &opened.found.clients;
        clients.delete(&opened.found.url, &handles, call).await
    }

    /// Sets visibility timeouts; returns the faults by index in the batch.
    pub(super) async fn change(
        &self,
        opened: &Opened,
        what: &'static str,
        changes: &[Change<'_>],
    ) -> Faults {
        let call = self.call(what, &opened.found.clients.endpoint);
        let clients = &opened.found.clients;
        let changes = handles(changes);
        clients.change(&opened.found.url, &changes, call).await
    }
}

/// Returns what the calls on leases name, in place of receipts.
fn handles<'r>(changes: &[Change<'r>]) -> Vec<(usize, (&'r str, i32))> {
    let handle = |(index, receipt, seconds): &Change<'r>| (*index, (receipt.handle(), *seconds));
    changes.iter().map(handle).collect()
}
