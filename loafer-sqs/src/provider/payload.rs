//! Payloads that are on S3: fetched before their messages are delivered, deleted after their messages are.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use loafer_core::{Delivery, Message};
use tokio::time::timeout;

use super::{Opened, Receipt, SqsProvider};
use crate::payloads::{Offloaded, Store};

/// How long the payloads of one receive may take, while the other messages of it wait; less where the lease is short.
const FETCH: Duration = Duration::from_secs(10);

impl SqsProvider {
    /// The deliveries with their payloads. One of which the payload can't be fetched is left to the end of its lease, and on FIFO what
    /// follows it in its group with it: so nothing is lost, and nothing overtakes it.
    pub(super) async fn with_payloads(
        &self,
        opened: &Opened,
        deliveries: Vec<Delivery<Receipt>>,
    ) -> Vec<Delivery<Receipt>> {
        let Some(store) = &opened.clients.payloads else {
            return deliveries;
        };
        let within = FETCH.min(opened.lease / 3);
        let fetched = deliveries
            .iter()
            .map(|delivery| self.fetch(store, &delivery.message, within));
        let fetched = join_all(fetched).await;
        let mut missing: Vec<Message> = Vec::new();
        let mut whole = Vec::with_capacity(deliveries.len());
        for (mut delivery, fetched) in deliveries.into_iter().zip(fetched) {
            let group = delivery.message.group();
            if opened.fifo && missing.iter().any(|before| before.group() == group) {
                continue;
            }
            match fetched {
                Fetched::Here => whole.push(delivery),
                Fetched::Whole(message, offloaded) => {
                    delivery.receipt = delivery.receipt.of_offloaded(offloaded);
                    delivery.message = message;
                    whole.push(delivery);
                }
                Fetched::Missing => missing.push(delivery.message),
            }
        }
        whole
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

    /// Deletes the payloads of messages whose deletion is confirmed.
    pub(super) async fn clean_up(&self, opened: &Opened, acked: impl Iterator<Item = &Receipt>) {
        if let Some(store) = &opened.clients.payloads {
            join_all(
                acked
                    .filter_map(Receipt::offloaded)
                    .map(|offloaded| store.clean_up(offloaded)),
            )
            .await;
        }
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
