//! Payloads on S3, fetched before their messages are delivered. Only SQS has them.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use loafer_core::{Error, broker::Delivery, message::Message};
use tokio::time::{Instant, timeout};

use super::{Opened, Receipt, SqsProvider};
use crate::payloads::{Held, InFlight, Offloaded, Room, Store};

/// How long fetching the payloads of one receive may take, while its other messages wait. A short lease makes it less.
const FETCH: Duration = Duration::from_secs(5);
/// After which wait for payloads the leases are renewed: the engine counts them from the delivery on. A short lease makes it less.
const LATE: Duration = Duration::from_millis(500);
/// How long that renewal may take: what the engine allows for the way of an answer.
const RENEWAL: Duration = Duration::from_secs(1);

impl SqsProvider {
    /// Returns the deliveries with their payloads and with a whole lease. A message whose payload can't be fetched keeps its lease until
    /// that ends, and on FIFO so do those behind it in its group: nothing is lost, and nothing overtakes it.
    pub(super) async fn with_payloads(
        &self,
        opened: &Opened,
        deliveries: Vec<Delivery<Receipt>>,
        room: &Room,
    ) -> Vec<Delivery<Receipt>> {
        let payloads = opened.found.clients.payloads.as_ref();
        let Some((store, in_flight)) = payloads.zip(opened.in_flight.as_ref()) else {
            return deliveries;
        };
        let begin = Instant::now();
        let within = FETCH.min(opened.lease / 6);
        let fetched = deliveries
            .iter()
            .map(|delivery| self.fetch(store, in_flight, room, &delivery.message, within));
        let fetched = join_all(fetched).await;
        let fetched = deliveries.into_iter().zip(fetched);
        let fetched = fetched.map(|(mut delivery, fetched)| match fetched {
            Fetched::Here => Ok(delivery),
            Fetched::Whole(message, offloaded, held) => {
                delivery.receipt = delivery.receipt.of_offloaded(offloaded, held);
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

    /// Returns the deliveries whose leases could be renewed. The others are redelivered, and so are those behind them in their groups.
    async fn renewed(
        &self,
        opened: &Opened,
        deliveries: Vec<Delivery<Receipt>>,
    ) -> Vec<Delivery<Receipt>> {
        let changes: Vec<_> = deliveries
            .iter()
            .enumerate()
            .map(|(index, Delivery { receipt, .. })| {
                (index, receipt, receipt.visibility(opened.lease))
            })
            .collect();
        let within = RENEWAL.min(opened.lease / 10);
        let renewal = timeout(within, self.change(opened, "renewal", &changes));
        let (lost, cause) = match renewal.await {
            Ok(faults) => {
                let (lost, faults): (Vec<_>, Vec<_>) = faults.into_iter().unzip();
                let cause = faults.into_iter().next().map(|fault| {
                    fault
                        .into_error()
                        .map_or_else(|| "the lease is over".to_owned(), |error| error.to_string())
                });
                (lost, cause)
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
                "payloads on S3 took long, and the leases of their receive can't be renewed: its messages are redelivered"
            );
        }
        let deliveries = deliveries.into_iter().enumerate();
        let deliveries = deliveries.map(|(index, delivery)| match lost.contains(&index) {
            true => Err(delivery.message),
            false => Ok(delivery),
        });
        unbroken(opened.fifo, deliveries)
    }

    async fn fetch(
        &self,
        store: &Store,
        in_flight: &InFlight,
        room: &Room,
        message: &Message,
        within: Duration,
    ) -> Fetched {
        let Some(offloaded) = Offloaded::of(message) else {
            in_flight.came(0);
            return Fetched::Here;
        };
        let (pointer, mut waits) = (&offloaded.pointer, false);
        let payload = async {
            let object = store.find(pointer).await?;
            waits = true;
            let held = in_flight.take(object.bytes(), room).await;
            waits = false;
            Ok::<_, Error>((object.read().await?, held))
        };
        let cause = match timeout(within, payload).await {
            Ok(Ok((payload, held))) => match offloaded.with_payload(payload) {
                Some(message) => return Fetched::Whole(message, Arc::new(offloaded), held),
                None => "it is no text, and stands for text in an SNS envelope".to_owned(),
            },
            Ok(Err(error)) => error.to_string(),
            Err(_) if waits => format!(
                "the route holds as many bytes of payloads as it may, and none was settled within {within:?}: lower its `concurrency`, or allow more by \
                 `S3Payloads::in_flight`"
            ),
            Err(_) => format!("no answer within {within:?}"),
        };
        tracing::error!(
            route = self.route, queue = self.queue, message_id = %message.id(), bucket = pointer.bucket, key = pointer.key, cause,
            "the payload on S3 can't be had: its message is redelivered when its lease ends"
        );
        Fetched::Missing
    }
}

/// What became of the payload of a message.
enum Fetched {
    /// The message has it.
    Here,
    /// The message has it now. The second value is the message as it was, the third what the payload takes of the route's bytes.
    Whole(Message, Arc<Offloaded>, Held),
    /// It can't be had.
    Missing,
}

/// Returns the deliveries that are not left to their leases. On FIFO those behind a missing one of their group are left out too.
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
