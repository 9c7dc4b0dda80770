//! Dead letters on lease: received, given back, deleted.

use std::{sync::Arc, time::Duration};

use loafer_core::{Error, broker::Delivery};

use super::{DeadLetterReceipt, Found, Lease};
use crate::{
    client::{ENTRIES, Poll},
    message::{self, Folded},
};

/// The lease in seconds: enough to look through many thousands. If this process is killed, others wait that long.
const LEASE: i32 = 120;
/// How long a receive waits. A poll that does not wait asks only some servers of SQS, and may miss messages.
const WAIT: Duration = Duration::from_secs(1);

impl Found {
    pub(super) async fn lease(
        &self,
        max: usize,
        into: &mut Vec<Delivery<DeadLetterReceipt>>,
    ) -> Result<(), Error> {
        let poll = Poll {
            max,
            wait: WAIT,
            visibility: Some(LEASE),
            attempt: None,
        };
        let call = self.call("receive");
        let received = self
            .clients
            .receive(&self.dead_letters.url, poll, call)
            .await?;
        into.extend(received.into_iter().map(|received| {
            let attributes = received.message_attributes.clone().unwrap_or_default();
            let received = message::from_sdk(received, Folded::Restored);
            let handle = received.handle;
            Delivery {
                receipt: DeadLetterReceipt(Arc::new(Lease { handle, attributes })),
                message: received.message,
            }
        }));
        Ok(())
    }

    pub(super) async fn give_back(&self, leases: &[DeadLetterReceipt]) -> Result<(), Error> {
        let mut first = Ok(());
        for ten in leases.chunks(ENTRIES) {
            if let Err(error) = self.give_ten_back(ten).await {
                // If nobody answers, thousands would take hours to fail one call after the other.
                let is_vain = matches!(error, Error::Unreachable { .. });
                first = first.and(Err(error));
                if is_vain {
                    break;
                }
            }
        }
        first
    }

    async fn give_ten_back(&self, ten: &[DeadLetterReceipt]) -> Result<(), Error> {
        let call = self.call("giving back dead letters");
        let releases: Vec<_> = ten
            .iter()
            .enumerate()
            .map(|(index, receipt)| (index, (&*receipt.0.handle, 0)))
            .collect();
        let faults = self
            .clients
            .change(&self.dead_letters.url, &releases, call)
            .await;
        // A lease that has ended is given back already.
        let failed = faults.into_iter().find_map(|(_, fault)| fault.into_error());
        failed.map_or(Ok(()), Err)
    }

    /// Deletes dead letters. A lease that is over is refused: somebody else may have the dead letter.
    pub(super) async fn delete(
        &self,
        leases: &[DeadLetterReceipt],
        answers: &mut Vec<Result<(), Error>>,
    ) {
        let handles: Vec<_> = leases
            .iter()
            .enumerate()
            .map(|(index, receipt)| (index, &*receipt.0.handle))
            .collect();
        let call = self.call("delete");
        let url = &self.dead_letters.url;
        let faults = self.clients.delete(url, &handles, call).await;
        let first = answers.len();
        answers.extend(leases.iter().map(|_| Ok(())));
        for (index, fault) in faults {
            let lost = || call.refused("its lease was over".to_owned(), None);
            answers[first + index] = Err(fault.into_error().unwrap_or_else(lost));
        }
    }
}
