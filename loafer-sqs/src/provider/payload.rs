//! Payloads that are on S3: fetched before their messages are delivered.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use loafer_core::{Delivery, Message};
use tokio::time::{Instant, timeout};

use super::{Opened, Receipt, SqsProvider, batch::Fault, visibility::Change};
use crate::payloads::{Offloaded, Store};

/// How long the payloads of one receive may take, while the other messages of it wait; less where the lease is short.
const FETCH: Duration = Duration::from_secs(5);
/// Leases that waited longer for payloads than this are renewed, for whoever gets them dates them by then; less where the lease is short.
const LATE: Duration = Duration::from_millis(500);
/// How long that may take: what the framework allows for the way of an answer.
const RENEWAL: Duration = Duration::from_secs(1);

impl SqsProvider {
    /// The deliveries with their payloads, and with all of their lease. One of which the payload can't be fetched is left to the end of
    /// its lease, and on FIFO what follows it in its group with it: so nothing is lost, and nothing overtakes it.
    pub(super) async fn with_payloads(
        &self,
        opened: &Opened,
        deliveries: Vec<Delivery<Receipt>>,
    ) -> Vec<Delivery<Receipt>> {
        let Some(store) = &opened.clients.payloads else {
            return deliveries;
        };
        let begin = Instant::now();
        let within = FETCH.min(opened.lease / 6);
        let fetched = deliveries
            .iter()
            .map(|delivery| self.fetch(store, &delivery.message, within));
        let fetched = join_all(fetched).await;
        let fetched = deliveries.into_iter().zip(fetched);
        let fetched = fetched.map(|(mut delivery, fetched)| match fetched {
            Fetched::Here => Ok(delivery),
            Fetched::Whole(message, offloaded) => {
                delivery.receipt = delivery.receipt.of_offloaded(offloaded);
                delivery.message = message;
                Ok(delivery)
            }
            Fetched::Missing => Err(delivery.message),
        });
        let whole = unbroken(opened.fifo, fetched);
        if begin.elapsed() < LATE.min(opened.lease / 20) {
            return whole;
        }
        self.renewed(opened, whole).await
    }

    /// Those of which the lease could be renewed; the others come again, as what follows them in their group does.
    async fn renewed(
        &self,
        opened: &Opened,
        deliveries: Vec<Delivery<Receipt>>,
    ) -> Vec<Delivery<Receipt>> {
        let change = |(place, delivery)| {
            let Delivery { receipt, .. }: &Delivery<Receipt> = delivery;
            Change {
                place,
                receipt,
                seconds: receipt.visibility(opened.lease),
            }
        };
        let changes: Vec<_> = deliveries.iter().enumerate().map(change).collect();
        let within = RENEWAL.min(opened.lease / 10);
        let renewal = timeout(within, self.change(opened, "renewal", &changes));
        let (lost, cause) = match renewal.await {
            Ok(faults) => {
                let cause = faults.first().map(|(_, fault)| match fault {
                    Fault::Lost => "the lease is over".to_owned(),
                    Fault::Failed(error) => error.to_string(),
                });
                (faults.iter().map(|(place, _)| *place).collect(), cause)
            }
            Err(_) => (
                (0..deliveries.len()).collect::<Vec<_>>(),
                Some(format!("no answer within {within:?}")),
            ),
        };
        if let Some(cause) = cause {
            tracing::warn!(
                route = self.route,
                queue = self.queue,
                messages = lost.len(),
                cause,
                "payloads on S3 took long, and the leases of their receive can't be renewed: its messages come again"
            );
        }
        let deliveries = deliveries.into_iter().enumerate();
        let deliveries = deliveries.map(|(place, delivery)| match lost.contains(&place) {
            true => Err(delivery.message),
            false => Ok(delivery),
        });
        unbroken(opened.fifo, deliveries)
    }

    async fn fetch(&self, store: &Store, message: &Message, within: Duration) -> Fetched {
        let Some(offloaded) = Offloaded::of(message) else {
            return Fetched::Here;
        };
        let pointer = &offloaded.pointer;
        let cause = match timeout(within, store.get(pointer)).await {
            Ok(Ok(payload)) => match offloaded.with_payload(payload) {
                Some(message) => return Fetched::Whole(message, Arc::new(offloaded)),
                None => "it is no text, and stands for text in an SNS envelope".to_owned(),
            },
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {within:?}"),
        };
        tracing::error!(
            route = self.route, queue = self.queue, message_id = %message.id(), bucket = pointer.bucket, key = pointer.key, cause,
            "the payload on S3 can't be had: its message comes again at the end of its lease"
        );
        Fetched::Missing
    }
}

/// What became of the payload of a message.
enum Fetched {
    /// It is in the message.
    Here,
    /// It is in the message now; and what the message was.
    Whole(Message, Arc<Offloaded>),
    /// It can't be had.
    Missing,
}

/// The deliveries without those that are left to their leases; on FIFO without what follows these in their groups.
fn unbroken(
    fifo: bool,
    deliveries: impl Iterator<Item = Result<Delivery<Receipt>, Message>>,
) -> Vec<Delivery<Receipt>> {
    let mut left: Vec<Message> = Vec::new();
    let mut unbroken = Vec::new();
    for delivery in deliveries {
        let group = match &delivery {
            Ok(delivery) => delivery.message.group(),
            Err(message) => message.group(),
        };
        if fifo && left.iter().any(|before| before.group() == group) {
            continue;
        }
        match delivery {
            Ok(delivery) => unbroken.push(delivery),
            Err(message) => left.push(message),
        }
    }
    unbroken
}
