//! A dead-letter queue on SQS: found by the redrive policy of its source.

mod copy;
mod lease;
mod target;
mod task;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, OnceLock},
};

use aws_sdk_sqs::types::MessageAttributeValue;
use loafer_core::{
    AboutLetters, Bulk, DeadLetter, DeadLetterQueue, Delivery, Destination, Error, Message, Origin,
    Source, Watch,
};

use self::target::Target;
use crate::{
    config::{Clients, Shared},
    error::{Call, Place},
    message::SOURCE,
    queue::{self, Attributes, Redrive},
    remedy,
};

/// The dead letters of one SQS queue.
///
/// | call | API |
/// |---|---|
/// | `lease` | `ReceiveMessage`, for two minutes: SQS raises the letter's receive count |
/// | `give_back` | `ChangeMessageVisibilityBatch` with 0 |
/// | `send` | `SendMessageBatch`, then `DeleteMessageBatch` |
/// | `move_all` | `StartMessageMoveTask`, watched by `ListMessageMoveTasks` |
/// | `purge` | `PurgeQueue` |
///
/// Attributes keep their types; on FIFO the group is kept, and the deduplication id is made of the letter's id, so that the same letter
/// sent twice within five minutes arrives once.
pub struct SqsDeadLetters {
    shared: Arc<Shared>,
    /// Name or URL of the source, as configured.
    queue: String,
    /// For remedies in errors.
    route: String,
    /// Set by `open`.
    found: OnceLock<Found>,
}

/// What gives back or deletes one leased dead letter.
#[derive(Clone)]
pub struct LetterReceipt(Arc<Lease>);

struct Lease {
    /// SQS's receipt handle: a right, so it is never shown.
    handle: String,
    /// As they stand there: a copy keeps their types.
    attributes: HashMap<String, MessageAttributeValue>,
}

/// Source and dead-letter queue.
struct Found {
    clients: Clients,
    source: Queue,
    letters: Queue,
    /// The queue letters were sent to last: it is found once for all of them.
    target: Mutex<Option<(String, Target)>>,
}

struct Queue {
    name: String,
    url: String,
    arn: String,
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

    async fn find(&self) -> Result<(Found, Attributes), Error> {
        let clients = self.shared.clients(&self.queue).await?.for_url(&self.queue);
        let place = Arc::clone(&clients.place);
        let call = Call {
            what: "finding",
            queue: &self.queue,
            route: Some(&self.route),
            place: &place,
        };
        let url = queue::url(&clients.sqs, &self.queue, None, call).await?;
        let (source, redrive) = described(&clients, url, call).await?;
        let Some(Redrive { target, .. }) = redrive.redrive else {
            let exists = queue::has_letters(&clients.sqs, &source.arn, call).await;
            return Err(Error::Config(format!(
                "queue `{}` has no dead-letter queue; set one: {}",
                source.name,
                remedy::make_dead_letters(&place, &source.url, &source.arn, exists)
            )));
        };
        let url = queue::url_of_arn(&clients.sqs, &target, call).await?;
        let call = Call {
            queue: queue::name(&target),
            route: None,
            ..call
        };
        let (letters, attributes) = described(&clients, url, call).await?;
        let found = Found {
            clients,
            source,
            letters,
            target: Mutex::default(),
        };
        Ok((found, attributes))
    }
}

impl Found {
    /// A call on the dead-letter queue.
    fn call<'a>(&'a self, what: &'static str, place: &'a Place) -> Call<'a> {
        Call {
            what,
            queue: &self.letters.name,
            route: None,
            place,
        }
    }
}

/// A queue with what it says of itself, which is needed here.
async fn described(
    clients: &Clients,
    url: String,
    call: Call<'_>,
) -> Result<(Queue, Attributes), Error> {
    let attributes = queue::attributes(&clients.sqs, &url, call).await?;
    let attributes = attributes.ok_or_else(|| {
        call.refused(
            "its attributes can't be read: allow sqs:GetQueueAttributes".to_owned(),
            None,
        )
    })?;
    let found = Queue {
        name: queue::name(&url).to_owned(),
        arn: attributes.arn.clone().ok_or_else(|| call.unanswered())?,
        url,
    };
    Ok((found, attributes))
}

fn remarks(letters: &Queue, attributes: &Attributes) -> (Vec<String>, Vec<String>) {
    let mut remarks = vec![
        "to look at a letter is to receive it: SQS raises its receive count, and it is gone for others meanwhile"
            .to_owned(),
    ];
    if queue::is_fifo(&letters.url) {
        remarks.push(format!(
            "`{}` is FIFO: of each group only the first letters can be seen, those behind them once they are gone",
            letters.name
        ));
    }
    let own = attributes.redrive.as_ref().map(|redrive| {
        let times = redrive
            .max_receives
            .map_or_else(String::new, |most| format!(" after {most} receives"));
        format!(
            "`{}` has a redrive policy of its own: it gives letters to `{}`{times}, and every look is one",
            letters.name,
            queue::name(&redrive.target)
        )
    });
    (remarks, own.into_iter().collect())
}

impl DeadLetterQueue for SqsDeadLetters {
    type Receipt = LetterReceipt;

    async fn open(&self) -> Result<AboutLetters, Error> {
        let (found, attributes) = self.find().await?;
        let (remarks, warnings) = remarks(&found.letters, &attributes);
        let about = AboutLetters {
            queue: found.letters.name.clone(),
            count: Some(attributes.messages),
            remarks,
            warnings,
        };
        self.found.get_or_init(|| found);
        Ok(about)
    }

    async fn lease(
        &self,
        max: usize,
        into: &mut Vec<Delivery<LetterReceipt>>,
    ) -> Result<(), Error> {
        self.found()?.lease(max, into).await
    }

    async fn give_back(&self, leases: &[LetterReceipt]) -> Result<(), Error> {
        self.found()?.give_back(leases).await
    }

    async fn send(
        &self,
        to: &Destination,
        letters: &[Delivery<LetterReceipt>],
        answers: &mut Vec<Result<(), Error>>,
    ) {
        match self.found() {
            Ok(found) => found.send(to, letters, answers).await,
            Err(error) => {
                let again = || Err(crate::error::again(&error));
                answers.extend(letters.iter().map(|_| again()));
            }
        }
    }

    async fn move_all(&self, to: &Destination, watch: Watch<'_>) -> Result<Bulk, Error> {
        self.found()?.move_all(to, watch).await
    }

    async fn purge_warnings(&self) -> Vec<String> {
        // SQS API: `PurgeQueue`.
        let meanwhile = "letters that arrive within a minute of the purge may go, too".to_owned();
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
            .queue_url(&found.letters.url);
        let call = found.call("purge", &found.clients.place);
        match Box::pin(purge.send()).await {
            Ok(_) => Ok(()),
            Err(error) => Err(call.failed(&error)),
        }
    }

    fn origin(&self, message: &Message) -> Origin {
        let envelope = DeadLetter::of(message);
        // What was moved here, from wherever, is marked by SQS; what we sent here is not.
        let arn = message.headers().get(SOURCE);
        let queue = arn.or(envelope.as_ref().map(|envelope| &*envelope.queue));
        let own = self.found.get().map(|found| &*found.source.name);
        Origin {
            by_broker: arn.is_some() && envelope.is_none(),
            elsewhere: matches!((queue, own), (Some(queue), Some(own)) if queue::name(queue) != own),
            queue: queue.map(|queue| queue::name(queue).to_owned()),
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

impl fmt::Debug for LetterReceipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LetterReceipt").finish_non_exhaustive()
    }
}
