//! The provider of one queue.

mod clean_up;
mod dead_letters;
mod defer;
mod others;
mod payloads;
mod receipt;
mod receive;
mod settle;
mod target;

use std::{
    fmt,
    sync::{Arc, Once, OnceLock},
    time::Duration,
};

use loafer_core::{
    Error,
    broker::{
        Capabilities, Delivery, Depth, Finding, Open, Provider, Renewed, Settle, Settled, Source,
    },
    policy::Policy,
};
use tokio::time::{Instant, timeout, timeout_at};

use self::{
    clean_up::CleanUps, others::DeadLettersOfOthers, receive::AttemptIds, target::DeadLetterTarget,
};
use crate::{
    check,
    client::{Clients, Shared},
    error::Call,
    names::{Endpoint, QueueAddress, is_fifo},
    payloads::InFlight,
    seconds,
    topology::{self, Found, Made, SnsTopic},
};

pub use self::receipt::Receipt;

/// How long opening may take, so that a program that can't start says so soon.
const OPEN: Duration = Duration::from_secs(9);
/// How long `check` may take for one queue.
const CHECK: Duration = Duration::from_secs(20);
/// How long the end of a route waits for its open polls, unless `finish_polls` is set.
const FINISH_POLLS: Duration = Duration::from_millis(500);
/// How long it waits at least if payloads are fetched.
const FINISH_PAYLOADS: Duration = Duration::from_secs(2);
/// The lease if the queue's own can't be read or is 0: SQS's default.
const LEASE: Duration = Duration::from_secs(30);

/// Leases messages from one SQS queue.
///
/// | call | API | attempts |
/// |---|---|---|
/// | `receive` | `ReceiveMessage`, up to 10 messages | one, of `wait` + 5 s: the engine backs off |
/// | `settle` | `DeleteMessageBatch`, `ChangeMessageVisibilityBatch`, `SendMessageBatch` | the SDK's, of 5 s each |
/// | `renew` | `ChangeMessageVisibilityBatch` | the SDK's, of 5 s each |
///
/// A retry without delay costs no call. A dead letter is sent to the target of the queue's redrive policy, and the message is deleted once that is
/// confirmed. A copy that is refused for good is a failure that is not transient and says what to do; only a queue without a redrive policy has no target.
/// A message that is not due yet is copied so to the queue itself, and deleted; FIFO queues have no such copies. A retry is delayed for 12 hours at most,
/// since a copy would count its receives from the start. Methods may be dropped in flight; the call may then have taken effect or not.
pub struct SqsProvider {
    shared: Arc<Shared>,
    /// The queue as configured: name, URL or ARN.
    queue: String,
    /// The route, which remedies in errors name.
    route: String,
    /// The route's `lease`, in seconds.
    lease: Option<i32>,
    /// Whether `lease` was rounded up.
    rounded: bool,
    /// The topics that feed the queue, by name or ARN; empty unless a translator of the route opens SNS envelopes.
    topics: Vec<String>,
    /// Whether a translator of the route opens what another service of AWS sends.
    is_fed_by_aws: bool,
    /// What was made for the route and not shown yet.
    made: Made,
    /// Set by the first `open` that succeeds.
    opened: OnceLock<Opened>,
    /// The ids of receives on a FIFO queue whose answers were lost.
    attempts: AttemptIds,
    /// Deletions of payloads on S3.
    clean_ups: CleanUps,
    /// Done once the log says that the queue does not take our copies of messages that are not due.
    not_copied_told: Once,
    /// Done once the log says that the server does not count receives.
    not_counted_told: Once,
}

/// What `open` found.
struct Opened {
    found: Found,
    fifo: bool,
    /// The lease that every receive asks for, also where it is the queue's own: the lease renewer goes by it, and the queue's may be lowered
    /// while we run.
    lease: Duration,
    /// The bytes of payloads from S3 that the route holds. `None` means that there are no such payloads.
    in_flight: Option<InFlight>,
    /// Where dead letters go. It is found when there is a first one.
    dead_letter_target: DeadLetterTarget,
    /// Whether it holds dead letters itself.
    holds_dead_letters: DeadLettersOfOthers,
}

impl SqsProvider {
    pub(crate) fn new(shared: Arc<Shared>, source: &Source, lease: Option<i32>) -> Self {
        let is_opened_by = |names: &[&str]| {
            let mut translators = source.translators.iter();
            translators.any(|of| names.contains(&of.split('<').next().unwrap_or_default().trim()))
        };
        Self {
            shared,
            queue: source.queue.clone(),
            route: source.route.clone(),
            lease,
            rounded: source
                .policy
                .lease
                .is_some_and(|asked| asked.subsec_nanos() > 0),
            topics: match is_opened_by(&["Sns"]) {
                true => source.topics.clone(),
                false => Vec::new(),
            },
            is_fed_by_aws: is_opened_by(&["Sns", "EventBridge", "S3Event"]),
            made: Made::default(),
            opened: OnceLock::new(),
            attempts: AttemptIds::default(),
            clean_ups: CleanUps::default(),
            not_copied_told: Once::new(),
            not_counted_told: Once::new(),
        }
    }

    fn call<'a>(&'a self, what: &'static str, endpoint: &'a Endpoint) -> Call<'a> {
        Call {
            what,
            queue: &self.queue,
            route: Some(&self.route),
            endpoint,
        }
    }

    fn opened(&self) -> Result<&Opened, Error> {
        self.opened.get().ok_or_else(|| {
            Error::Config(format!(
                "route `{}`: its queue `{}` was not opened",
                self.route, self.queue
            ))
        })
    }

    /// Finds the queue. In the mode that creates, makes what is missing.
    async fn find(&self, clients: &Clients, mode: Open) -> Result<Found, Error> {
        let clients = clients.for_queue(&self.queue);
        let endpoint = Arc::clone(&clients.endpoint);
        let call = self.call("opening", &endpoint);
        let address = QueueAddress::parse(&self.queue);
        let QueueAddress::Name(name) = address else {
            return topology::find(clients, address, call).await;
        };
        if mode != Open::Create {
            return topology::find(clients, address, call).await;
        }
        let made = topology::make_queue(&clients, name, self.lease, call, &self.made).await?;
        let (url, is_new) = made;
        let attributes = topology::attributes(&clients.sqs, &url, call).await?;
        let found = Found {
            clients,
            url,
            attributes,
        };
        if found.attributes.is_some() {
            let topics = self.topics(&found);
            topology::complete(&found, &topics, is_new, call, &self.made).await?;
        }
        Ok(found)
    }

    /// Returns the topics that should feed the queue. There are none if the queue's ARN can't be read.
    fn topics<'t>(&'t self, found: &'t Found) -> Vec<SnsTopic<'t>> {
        let attributes = found.attributes.as_ref();
        let Some(queue) = attributes.and_then(|of| of.arn.as_deref()) else {
            return Vec::new();
        };
        let (client, endpoint) = (&found.clients.sns, &found.clients.sns_endpoint);
        let topics = self.topics.iter();
        topics
            .filter_map(|topic| SnsTopic::new(client, endpoint, topic, queue))
            .collect()
    }

    /// Returns the lease that receives ask for.
    fn lease(&self, found: &Found) -> Duration {
        if let Some(seconds) = self.lease {
            return Duration::from_secs(seconds.unsigned_abs().into());
        }
        let own = found.attributes.as_ref().and_then(|of| of.lease);
        own.filter(|lease| !lease.is_zero()).unwrap_or(LEASE)
    }

    fn describe(&self, found: Found) -> Opened {
        let lease = self.lease(&found);
        Opened {
            fifo: is_fifo(&found.url),
            lease,
            in_flight: found
                .clients
                .payloads
                .as_ref()
                .map(|store| InFlight::new(store.in_flight())),
            dead_letter_target: DeadLetterTarget::new(found.attributes.as_ref()),
            holds_dead_letters: DeadLettersOfOthers::default(),
            found,
        }
    }

    async fn look(&self, policy: &Policy) -> Result<Vec<Finding>, Error> {
        let mut findings: Vec<_> = self.made.take().into_iter().map(Finding::good).collect();
        let clients = self.shared.clients(&self.queue).await?;
        let found = self.find(clients, Open::Existing).await?;
        let lease = self.lease(&found);
        let call = self.call("finding", &found.clients.endpoint);
        let topics = self.topics(&found);
        findings.extend(check::look(policy, &found, &topics, lease, call).await);
        if self.is_fed_by_aws {
            findings.extend(check::key(&self.queue, &found));
        }
        Ok(findings)
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

    /// Finds the queue and reads its attributes. If it may not read them, it does without. It takes 9 s at most.
    ///
    /// [`Open::Create`] makes a missing queue and, if that is missing too, `NAME-dlq` as its dead-letter queue, with max
    /// receives 10. For the translator `Sns` it also makes the route's topics, the subscriptions, and, for a queue just made,
    /// the policy that lets the topics send. What exists is not changed, and what is named by URL or ARN is not made.
    ///
    /// # Errors
    ///
    /// Says that there is no region, no credentials, no permission, no answer or no such queue, and what to do.
    async fn open(&self, mode: Open) -> Result<(), Error> {
        let deadline = Instant::now() + OPEN;
        let clients = self.shared.clients(&self.queue).await?;
        let found = match timeout_at(deadline, self.find(clients, mode)).await {
            Ok(found) => found?,
            Err(_) => {
                return Err(self
                    .call("opening", &clients.endpoint)
                    .unreachable("no answer in time"));
            }
        };
        let opened = self.describe(found);
        if self.rounded {
            tracing::warn!(
                route = self.route, queue = self.queue, lease = ?opened.lease,
                "SQS counts visibility timeouts in whole seconds: `lease` was rounded up"
            );
        }
        let found = &opened.found;
        self.shared.homes.add(&found.url, &found.clients.endpoint);
        // A second `open` does not change what the first one found.
        self.opened.get_or_init(|| opened);
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

    /// Returns a policy of IAM with what the route itself needs: to receive, to settle, to make dead letters, and to use keys and large payloads.
    fn rights(&self) -> Option<serde_json::Value> {
        let found = self.opened.get().map(|opened| &opened.found);
        Some(check::policy(&self.shared, &self.queue, found))
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

    /// Returns batches of 10 and leases of up to 12 hours. Lease, max receives and order are those of the queue, once it is open.
    fn capabilities(&self) -> Capabilities {
        let opened = self.opened.get();
        let finish_polls = self.shared.finish_polls.unwrap_or(FINISH_POLLS);
        Capabilities {
            receive_batch: 10,
            prefetch: 10,
            settle_batch: 10,
            receivers: 8,
            settlers: 8,
            wait: Duration::from_secs(20),
            receive_grace: match self.shared.keeps_large_payloads() {
                true => finish_polls.max(FINISH_PAYLOADS),
                false => finish_polls,
            },
            linger: Duration::from_secs(1),
            lease: Some(opened.map_or(LEASE, |opened| opened.lease)),
            lease_ceiling: Some(seconds::OURS),
            max_delay: Some(seconds::CEILING),
            // A copy would go behind its group. Elsewhere whoever may send here can forge the header of the due time. It puts off that one message,
            // as `DelaySeconds` would, by `DueTime::LONGEST` at most.
            defers: opened.is_some_and(|opened| !opened.fifo),
            ordered: opened.is_some_and(|opened| opened.fifo),
            release_costs_attempt: true,
            max_receives: opened.and_then(|opened| opened.dead_letter_target.max_receives()),
            max_receives_setting: Some("`maxReceiveCount`"),
            own_ids: true,
            ..Capabilities::default()
        }
    }

    /// Asks for the approximate counts among the queue's attributes. SQS does not tell the age of the oldest message here: only CloudWatch knows it, as
    /// `ApproximateAgeOfOldestMessage`.
    async fn depth(&self) -> Result<Depth, Error> {
        let found = &self.opened()?.found;
        let call = self.call("counting the messages", &found.clients.endpoint);
        let attributes = topology::attributes(&found.clients.sqs, &found.url, call).await?;
        let denied = || {
            call.refused(
                "its attributes can't be read: allow sqs:GetQueueAttributes".to_owned(),
                None,
            )
        };
        Ok(attributes.ok_or_else(denied)?.depth)
    }

    /// Waits for the deletions of payloads on S3 that run, 5 s at most.
    async fn close(&self) {
        self.clean_ups.finish().await;
    }
}
