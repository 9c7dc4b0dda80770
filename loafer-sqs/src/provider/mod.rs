//! The provider of one queue.

pub(crate) mod batch;
mod clean_up;
mod create;
mod dead_letter;
mod look;
mod payload;
mod receipt;
mod receive;
mod settle;
mod visibility;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use loafer_core::{
    Capabilities, Delivery, Error, Finding, Open, Policy, Provider, Renewed, Settle, Settled,
    Source,
};
use tokio::time::{Instant, timeout, timeout_at};

use self::{clean_up::CleanUps, dead_letter::DeadLetters, receive::AttemptIds};
use crate::{
    config::{Clients, Shared},
    error::{Call, Place},
    queue::{self, Attributes},
    seconds,
};

pub use self::receipt::Receipt;

/// How long opening may take, so that a program which can't start says so soon.
const OPEN: Duration = Duration::from_secs(9);
/// How long `check` may take for one queue.
const CHECK: Duration = Duration::from_secs(20);
/// What is left to a receive in flight at the end.
const GRACE: Duration = Duration::from_millis(500);
/// The same where payloads are fetched.
const GRACE_OF_PAYLOADS: Duration = Duration::from_secs(2);
/// The lease where the queue's own can't be read or is none: SQS's default.
const LEASE: Duration = Duration::from_secs(30);

/// Leases messages from one SQS queue.
///
/// | call | API | attempts |
/// |---|---|---|
/// | `receive` | `ReceiveMessage`, up to 10 messages | one, of `wait` + 5 s: the framework backs off |
/// | `settle` | `DeleteMessageBatch`, `ChangeMessageVisibilityBatch`, `SendMessageBatch` | the SDK's, of 5 s each |
/// | `renew` | `ChangeMessageVisibilityBatch` | the SDK's, of 5 s each |
///
/// A retry without delay costs no call. A dead letter is sent to the target of the queue's redrive policy, and the
/// message deleted once that is confirmed. Methods may be dropped in flight: what was sent may then have happened or not.
pub struct SqsProvider {
    shared: Arc<Shared>,
    /// Name or URL, as configured.
    queue: String,
    /// For remedies in errors.
    route: String,
    /// The route's `visibility_timeout`, in seconds.
    lease: Option<i32>,
    /// The topic that feeds the queue, by name or ARN, where the route's translator opens SNS envelopes.
    topic: Option<String>,
    /// What was made for it and not told yet.
    made: Mutex<Vec<String>>,
    /// Whether that is more than was asked for.
    rounded: bool,
    /// Set by the first `open` that succeeds.
    opened: OnceLock<Opened>,
    /// Of receives on a FIFO queue whose answers were lost.
    attempts: AttemptIds,
    /// Of payloads on S3.
    clean_ups: CleanUps,
}

/// What `open` found out.
pub(crate) struct Opened {
    clients: Clients,
    /// The address of the queue.
    url: String,
    fifo: bool,
    /// The lease as it is, whoever sets it.
    lease: Duration,
    /// What receives ask for; none where the queue's own timeout applies.
    visibility: Option<i32>,
    /// Of the redrive policy.
    max_receives: Option<u32>,
    /// Where dead letters go, found when the first one does.
    dead_letters: DeadLetters,
}

impl SqsProvider {
    pub(crate) fn new(shared: Arc<Shared>, source: &Source, lease: Option<i32>) -> Self {
        let translator = source.translator.split('<').next().unwrap_or_default();
        Self {
            shared,
            queue: source.queue.clone(),
            route: source.route.clone(),
            lease,
            topic: (translator.trim() == "Sns").then(|| source.topic.clone()),
            made: Mutex::default(),
            rounded: source
                .visibility_timeout
                .is_some_and(|asked| asked.subsec_nanos() > 0),
            opened: OnceLock::new(),
            attempts: AttemptIds::default(),
            clean_ups: CleanUps::default(),
        }
    }

    fn call<'a>(&'a self, what: &'static str, place: &'a Place) -> Call<'a> {
        Call {
            what,
            queue: &self.queue,
            route: Some(&self.route),
            place,
        }
    }

    /// What was made and not told yet.
    fn made(&self) -> MutexGuard<'_, Vec<String>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `open` found out.
    fn opened(&self) -> Result<&Opened, Error> {
        self.opened.get().ok_or_else(|| {
            Error::Config(format!(
                "route `{}`: its queue `{}` was not opened",
                self.route, self.queue
            ))
        })
    }

    /// Finds the queue; its attributes, where they may be read.
    async fn find(
        &self,
        clients: &Clients,
        mode: Open,
    ) -> Result<(Opened, Option<Attributes>), Error> {
        let clients = clients.for_url(&self.queue);
        let place = Arc::clone(&clients.place);
        let call = self.call("opening", &place);
        let create = mode == Open::Create && !queue::is_url(&self.queue);
        let mut made = Vec::new();
        let url = if create {
            let url = queue::create(&clients.sqs, &self.queue, self.lease, call, &mut made).await;
            self.made().extend_from_slice(&made);
            url?
        } else {
            queue::url(&clients.sqs, &self.queue, None, call).await?
        };
        let attributes = queue::attributes(&clients.sqs, &url, call).await?;
        let opened = self.describe(clients, url, attributes.as_ref());
        if let Some(attributes) = attributes.as_ref().filter(|_| create) {
            self.complete(&opened, attributes, !made.is_empty()).await?;
        }
        Ok((opened, attributes))
    }

    fn describe(&self, clients: Clients, url: String, attributes: Option<&Attributes>) -> Opened {
        let own = attributes
            .and_then(|attributes| attributes.lease)
            .filter(|lease| !lease.is_zero());
        let redrive = attributes.and_then(|attributes| attributes.redrive.as_ref());
        // Where we don't know the queue's own, we say ours: the keeper must know when to renew.
        let visibility = self
            .lease
            .or_else(|| own.is_none().then_some(LEASE.as_secs() as i32));
        let lease = match self.lease {
            Some(seconds) => Duration::from_secs(seconds.unsigned_abs().into()),
            None => own.unwrap_or(LEASE),
        };
        Opened {
            fifo: queue::is_fifo(&url),
            lease,
            visibility,
            max_receives: redrive.and_then(|redrive| redrive.max_receives),
            dead_letters: DeadLetters::new(redrive.map(|redrive| redrive.target.clone())),
            clients,
            url,
        }
    }
}

impl fmt::Debug for SqsProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqsProvider")
            .field("queue", &self.queue)
            .field("route", &self.route)
            .finish_non_exhaustive()
    }
}

impl Provider for SqsProvider {
    type Receipt = Receipt;

    /// Finds the queue and reads its attributes; does without where it may not read them. Takes 9 s at most.
    ///
    /// [`Open::Create`] makes a missing queue and, if that is missing too, `NAME-dlq` as its dead-letter queue, with max
    /// receives 10; for the translator `Sns` also the topic of the route's name, the subscription, and, for a queue just
    /// made, the policy that lets the topic send. What is there is not touched; what is named by URL or ARN is not made.
    ///
    /// # Errors
    ///
    /// No region, no credentials, no right, nobody there, no such queue; each with the way out.
    async fn open(&self, mode: Open) -> Result<(), Error> {
        let deadline = Instant::now() + OPEN;
        let clients = self.shared.clients(&self.queue).await?;
        let (found, _) = match timeout_at(deadline, self.find(clients, mode)).await {
            Ok(found) => found?,
            Err(_) => {
                return Err(self
                    .call("opening", &clients.place)
                    .unreachable("no answer in time"));
            }
        };
        if self.rounded {
            tracing::warn!(
                route = self.route, queue = self.queue, lease = ?found.lease,
                "SQS counts visibility timeouts in whole seconds: `visibility_timeout` was rounded up"
            );
        }
        // Opened twice, it stays as it was found first.
        self.opened.get_or_init(|| found);
        Ok(())
    }

    async fn check(&self, policy: &Policy) -> Vec<Finding> {
        match timeout(CHECK, self.look(policy)).await {
            Ok(Ok(findings)) => findings,
            Ok(Err(error)) => vec![Finding::problem(error.to_string())],
            Err(_) => vec![Finding::problem(format!(
                "queue `{}`: no answer within {CHECK:?}",
                self.queue
            ))],
        }
    }

    async fn receive(
        &self,
        max: usize,
        wait: Duration,
        into: &mut Vec<Delivery<Receipt>>,
    ) -> Result<(), Error> {
        self.receive_into(self.opened()?, max, wait, into).await
    }

    async fn settle(&self, batch: &[Settle<Receipt>], answers: &mut Vec<Settled>) {
        match self.opened() {
            Ok(opened) => self.settle_opened(opened, batch, answers).await,
            Err(_) => answers.extend(batch.iter().map(|_| Settled::Lost)),
        }
    }

    async fn renew(&self, leases: &[Receipt], by: Duration, answers: &mut Vec<Renewed>) {
        match self.opened() {
            Ok(opened) => self.renew_opened(opened, leases, by, answers).await,
            Err(_) => answers.extend(leases.iter().map(|_| Renewed::Lost)),
        }
    }

    /// Batches of 10, leases of up to 12 hours; lease and max receives as the queue says; ordered where it is FIFO.
    fn capabilities(&self) -> Capabilities {
        let opened = self.opened.get();
        Capabilities {
            receive_batch: 10,
            prefetch: 10,
            settle_batch: 10,
            receivers: 8,
            settlers: 8,
            wait: Duration::from_secs(20),
            receive_grace: opened.map_or(GRACE, |opened| match opened.clients.payloads {
                Some(_) => GRACE_OF_PAYLOADS,
                None => GRACE,
            }),
            linger: Duration::from_secs(1),
            lease: Some(opened.map_or(LEASE, |opened| opened.lease)),
            lease_ceiling: Some(seconds::OURS),
            max_delay: Some(seconds::CEILING),
            ordered: opened.is_some_and(|opened| opened.fifo),
            release_costs_attempt: true,
            max_receives: opened.and_then(|opened| opened.max_receives),
            own_ids: true,
            ..Capabilities::default()
        }
    }

    /// Waits for payloads on S3 that are being deleted, 5 s at most.
    async fn close(&self) {
        self.clean_ups.finish().await;
    }
}
