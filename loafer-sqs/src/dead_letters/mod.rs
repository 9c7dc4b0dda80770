//! A dead-letter queue, found by the redrive policy of its source.

mod copy;
mod lease;
mod native;
mod packed;
mod target;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, OnceLock},
};

use aws_sdk_sqs::types::MessageAttributeValue;
use loafer_core::{
    Error,
    broker::{
        BrokerMove, DeadLetter, DeadLetterCapabilities, DeadLetterInfo, DeadLetterQueue, Delivery,
        Destination, Origin, PackedDeadLetter, ProgressFn, Source,
    },
    message::Message,
};

use self::target::Target;
use crate::{
    client::{Clients, ENTRIES, Shared},
    error::Call,
    names::{QueueAddress, SOURCE_QUEUE, is_fifo, queue_name},
    outgoing::SQS_BYTES,
    topology::{self, Redrive},
};

/// The dead letters of one SQS queue.
///
/// | call | API |
/// |---|---|
/// | `lease` | `ReceiveMessage`, for two minutes: SQS raises the receive count |
/// | `give_back` | `ChangeMessageVisibilityBatch` with 0 |
/// | `copy` | `SendMessageBatch` |
/// | `delete` | `DeleteMessageBatch` |
/// | `move_all` | `StartMessageMoveTask`, followed by `ListMessageMoveTasks` |
/// | `purge` | `PurgeQueue` |
///
/// Attributes keep their types. A copy that is too large for the queue it goes to has its payload on S3, if large payloads are kept there. On FIFO the group is kept, and the deduplication id is made of the id of the dead letter: sent twice within
/// five minutes, a dead letter arrives once.
pub struct SqsDeadLetters {
    shared: Arc<Shared>,
    /// The source as configured: name, URL or ARN.
    queue: String,
    /// The route, which remedies in errors name.
    route: String,
    /// Set by `open`.
    found: OnceLock<Found>,
}

/// Message attributes by their names.
type Attributes = HashMap<String, MessageAttributeValue>;

/// Releases or deletes one leased dead letter.
#[derive(Clone)]
pub struct DeadLetterReceipt(Arc<Lease>);

struct Lease {
    /// SQS's receipt handle. Whoever has it may delete the message, so it is never shown.
    handle: String,
    /// The attributes as SQS returned them, so that a copy keeps their types.
    attributes: Attributes,
}

/// Source and dead-letter queue.
struct Found {
    clients: Clients,
    source: Queue,
    dead_letters: Queue,
    /// The queue to which dead letters were sent last, so that it is found once for all of them.
    target: Mutex<Option<(String, Target)>>,
}

struct Queue {
    name: String,
    url: String,
    arn: String,
    /// The most bytes that a message can have there.
    limit: usize,
}

impl SqsDeadLetters {
    pub(crate) fn new(shared: Arc<Shared>, source: &Source) -> Self {
        Self {
            shared,
            queue: source.queue.clone(),
            route: source.route.clone(),
            found: OnceLock::new(),
        }
    }

    fn found(&self) -> Result<&Found, Error> {
        self.found.get().ok_or_else(|| {
            Error::Config(format!(
                "route `{}`: its dead-letter queue was not opened",
                self.route
            ))
        })
    }

    async fn find(&self) -> Result<(Found, topology::Attributes), Error> {
        let clients = self.shared.clients(&self.queue).await?;
        let clients = clients.for_queue(&self.queue);
        let endpoint = Arc::clone(&clients.endpoint);
        let call = Call {
            what: "finding",
            queue: &self.queue,
            route: Some(&self.route),
            endpoint: &endpoint,
        };
        let address = QueueAddress::parse(&self.queue);
        let (source, attributes) = described(&clients, address, call).await?;
        let Some(Redrive { target, .. }) = attributes.redrive else {
            let exists = topology::has_dead_letter_queue(&clients.sqs, &source.arn, call).await;
            return Err(Error::Config(format!(
                "queue `{}` has no dead-letter queue; set one: {}",
                source.name,
                topology::set_dead_letter_queue(&endpoint, &source.url, &source.arn, exists)
            )));
        };
        let address = QueueAddress::parse(&target);
        let (dead_letters, attributes) =
            described(&clients, address, call.on(address.name())).await?;
        let found = Found {
            clients,
            source,
            dead_letters,
            target: Mutex::default(),
        };
        Ok((found, attributes))
    }
}

impl Found {
    /// Names a call on the dead-letter queue.
    fn call(&self, what: &'static str) -> Call<'_> {
        Call::new(what, &self.dead_letters.name, &self.clients.endpoint)
    }
}

/// Finds a queue whose attributes we may read.
async fn described(
    clients: &Clients,
    address: QueueAddress<'_>,
    call: Call<'_>,
) -> Result<(Queue, topology::Attributes), Error> {
    let url = topology::url(&clients.sqs, address, call).await?;
    let attributes = topology::attributes(&clients.sqs, &url, call).await?;
    let attributes = attributes.ok_or_else(|| {
        call.refused(
            "its attributes can't be read: allow sqs:GetQueueAttributes".to_owned(),
            None,
        )
    })?;
    let found = Queue {
        name: queue_name(&url).to_owned(),
        arn: attributes.arn.clone().ok_or_else(|| call.unanswered())?,
        limit: attributes.max_bytes.unwrap_or(SQS_BYTES),
        url,
    };
    Ok((found, attributes))
}

/// Says that a queue has a redrive policy of its own, if it has.
fn own_redrive(queue: &Queue, attributes: &topology::Attributes) -> Option<String> {
    let redrive = attributes.redrive.as_ref()?;
    let times = redrive
        .max_receives
        .map_or_else(String::new, |most| format!(" after {most} receives"));
    Some(format!(
        "`{}` has a redrive policy of its own: it moves dead letters to `{}`{times}, and every look is one",
        queue.name,
        queue_name(&redrive.target)
    ))
}

impl DeadLetterQueue for SqsDeadLetters {
    type Receipt = DeadLetterReceipt;

    async fn open(&self) -> Result<DeadLetterInfo, Error> {
        let (found, attributes) = self.find().await?;
        let about = DeadLetterInfo {
            queue: found.dead_letters.name.clone(),
            source: found.source.name.clone(),
            count: Some(attributes.messages()),
            warnings: own_redrive(&found.dead_letters, &attributes)
                .into_iter()
                .collect(),
            ..DeadLetterInfo::default()
        };
        self.found.get_or_init(|| found);
        Ok(about)
    }

    fn capabilities(&self) -> DeadLetterCapabilities {
        let found = self.found.get();
        DeadLetterCapabilities {
            batch: ENTRIES,
            deletes: true,
            counts_looks: true,
            ordered: found.is_some_and(|found| is_fifo(&found.dead_letters.url)),
            moves: true,
            rate: true,
        }
    }

    async fn lease(
        &self,
        max: usize,
        into: &mut Vec<Delivery<DeadLetterReceipt>>,
    ) -> Result<(), Error> {
        self.found()?.lease(max, into).await
    }

    async fn give_back(&self, leases: &[DeadLetterReceipt]) -> Result<(), Error> {
        self.found()?.give_back(leases).await
    }

    fn pack(&self, dead_letter: &Delivery<DeadLetterReceipt>) -> PackedDeadLetter {
        packed::pack(&dead_letter.message, &dead_letter.receipt.0.attributes)
    }

    async fn copy(
        &self,
        to: &Destination,
        dead_letters: &[PackedDeadLetter],
        answers: &mut Vec<Result<(), Error>>,
    ) {
        match self.found() {
            Ok(found) => found.copy(to, dead_letters, answers).await,
            Err(error) => answers.extend(dead_letters.iter().map(|_| Err(error.clone()))),
        }
    }

    async fn delete(&self, leases: &[DeadLetterReceipt], answers: &mut Vec<Result<(), Error>>) {
        match self.found() {
            Ok(found) => found.delete(leases, answers).await,
            Err(error) => answers.extend(leases.iter().map(|_| Err(error.clone()))),
        }
    }

    async fn move_all(
        &self,
        to: &Destination,
        rate: Option<u32>,
        watch: ProgressFn<'_>,
    ) -> Result<BrokerMove, Error> {
        self.found()?.move_all(to, rate, watch).await
    }

    async fn purge_warnings(&self) -> Vec<String> {
        // SQS API: `PurgeQueue`.
        let meanwhile =
            "dead letters that arrive within a minute of the purge may be deleted too".to_owned();
        let shared = match self.found() {
            Ok(found) => found.shared().await,
            Err(_) => None,
        };
        shared.into_iter().chain([meanwhile]).collect()
    }

    async fn purge(&self) -> Result<(), Error> {
        let found = self.found()?;
        let purge = found
            .clients
            .sqs
            .purge_queue()
            .queue_url(&found.dead_letters.url);
        let call = found.call("purge");
        match Box::pin(purge.send()).await {
            Ok(_) => Ok(()),
            Err(error) => Err(call.failed(&error)),
        }
    }

    fn origin(&self, message: &Message) -> Origin {
        let envelope = DeadLetter::of(message);
        // SQS marks what it moves here, from whichever queue. It does not mark what we send here.
        let arn = message.headers().get(SOURCE_QUEUE);
        let queue = arn.or(envelope.as_ref().map(|envelope| &*envelope.queue));
        let own = self.found.get().map(|found| &*found.source.name);
        Origin {
            by_broker: arn.is_some() && envelope.is_none(),
            from_other_queue: matches!((queue, own), (Some(queue), Some(own)) if queue_name(queue) != own),
            queue: queue.map(|queue| queue_name(queue).to_owned()),
        }
    }
}

impl fmt::Debug for SqsDeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqsDeadLetters")
            .field("queue", &self.queue)
            .field("route", &self.route)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for DeadLetterReceipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetterReceipt").finish_non_exhaustive()
    }
}
