//! Due messages: the retries of a service whose time in a delay queue is over are published to their queues. Only RabbitMQ has a queue of them.
//!
//! RabbitMQ itself could move them on, but then one queue that is full or gone would hold up all others: it waits until each queue has taken what it was
//! given. So they come to one queue of the service, `<app>.delays.due`, and each is published from there, and confirmed, by itself. What its queue does not
//! take waits in the delay queues once more, each time twice as long, up to 16 seconds.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt, future::join_all, stream::FuturesUnordered};
use lapin::{
    Channel,
    message::Delivery,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions},
    types::{AMQPValue, FieldTable},
};
use loafer_core::{
    Error,
    broker::{DelaySteps, Pauses},
};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use crate::{
    client::{Link, answered, close},
    message::text_of,
    names::{self, headers::QUEUE},
    options::Declare,
    outgoing::{Entry, passed_on},
    publisher::channels::{PublishChannels, Unsent},
    topology::{Plan, retries},
};

/// How many due messages are on their way at the same time.
const WINDOW: u16 = 256;

/// How long what is on its way may take at the end. The rest is carried on by the next process.
const END: Duration = Duration::from_secs(2);

/// How long a message waits at most for a queue that did not take it, before it is tried again.
const LONGEST: Duration = Duration::from_secs(16);

/// How often it is said that a queue takes no retries.
const MINUTE: Duration = Duration::from_secs(60);

/// What consuming them is called in errors.
const CONSUMING: &str = "consuming due retries";

/// The pauses between tries to consume, and to publish one message.
const PAUSES: Pauses = Pauses::new(Duration::from_millis(250));

/// What carries the due messages on: one task for each name that routes of this process use, begun by the first of them.
#[derive(Default)]
pub(crate) struct DueMessages {
    carriers: Mutex<HashMap<String, Carrier>>,
}

/// The task that carries the due messages of one service on. It ends by itself when `stop` is dropped: a task that is aborted while it begins to consume
/// leaves a consumer behind, to which RabbitMQ would push what nobody reads.
struct Carrier {
    task: JoinHandle<()>,
    stop: watch::Sender<()>,
}

impl DueMessages {
    /// Carries on what is due for this route's service, unless that is done already.
    pub(crate) fn carry(&self, link: &Arc<Link>, channels: &Arc<PublishChannels>, plan: &Plan) {
        let mut carriers = self.carriers();
        carriers.entry(plan.delays.clone()).or_insert_with(|| {
            let (stop, stopped) = watch::channel(());
            let of_service = DueQueue {
                link: link.clone(),
                channels: channels.clone(),
                delays: plan.delays.clone(),
                steps: plan.steps,
                makes: plan.declare != Declare::Off,
                warned: Mutex::default(),
            };
            let task = tokio::spawn(of_service.run(stopped));
            Carrier { task, stop }
        });
    }

    fn carriers(&self) -> MutexGuard<'_, HashMap<String, Carrier>> {
        let carriers = self.carriers.lock();
        carriers.unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets what is on its way arrive, for two seconds at most, and ends.
    pub(crate) async fn close(&self) {
        let carriers = std::mem::take(&mut *self.carriers());
        let stopped = carriers.into_values().map(|Carrier { task, stop }| {
            drop(stop);
            task
        });
        _ = timeout(END, join_all(stopped)).await;
    }
}

/// The due messages of one service.
struct DueQueue {
    link: Arc<Link>,
    channels: Arc<PublishChannels>,
    /// The name that the service's delay queues begin with.
    delays: String,
    steps: DelaySteps,
    /// Whether the queue is made if it is missing.
    makes: bool,
    /// When it was last said of a queue that it takes no retries.
    warned: Mutex<HashMap<String, Instant>>,
}

impl DueQueue {
    /// Carries messages on until it is stopped. A connection that is lost is made again.
    async fn run(self, mut stopped: watch::Receiver<()>) {
        let queue = names::due_queue(&self.delays);
        let mut pauses = PAUSES.iter();
        let mut failing = false;
        while stopped.has_changed().is_ok() {
            let error = match self.consume(&queue, &mut stopped, &mut failing).await {
                Ok(true) => return,
                Ok(false) => {
                    pauses = PAUSES.iter();
                    None
                }
                Err(error) => Some(error),
            };
            if let Some(error) = error.filter(|_| !failing) {
                failing = true;
                tracing::warn!(%queue, %error, "due retries are not carried on for now: they wait, and it is tried again");
            }
            let Some(pause) = pauses.next() else { return };
            _ = timeout(pause, stop(&mut stopped)).await;
        }
    }

    /// Consumes until it is stopped, and returns `true`, or until the consumer is lost.
    async fn consume(
        &self,
        queue: &str,
        stopped: &mut watch::Receiver<()>,
        failing: &mut bool,
    ) -> Result<bool, Error> {
        if self.makes {
            retries::make_due(&self.link, &self.delays).await?;
        }
        let channel = self.link.channel(CONSUMING, queue).await?;
        let qos = channel.basic_qos(WINDOW, BasicQosOptions::default());
        answered(CONSUMING, queue, qos).await?;
        let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumed = channel.basic_consume(queue.into(), "".into(), options, none);
        let mut consumer = answered(CONSUMING, queue, consumed).await?;
        if std::mem::take(failing) {
            tracing::info!(queue, "due retries are carried on again");
        }
        let mut under_way = FuturesUnordered::new();
        loop {
            tokio::select! {
                next = consumer.next() => match next {
                    Some(Ok(due)) => under_way.push(self.carried_on(due)),
                    Some(Err(_)) | None => return Ok(false),
                },
                Some(tag) = under_way.next() => self.ack(&channel, tag).await?,
                () = stop(stopped) => break,
            }
        }
        let rest = async {
            while let Some(tag) = under_way.next().await {
                self.ack(&channel, tag).await?;
            }
            Ok(())
        };
        timeout(END, rest).await.unwrap_or(Ok(()))?;
        close(&channel).await;
        Ok(true)
    }

    async fn ack(&self, channel: &Channel, tag: u64) -> Result<(), Error> {
        let acked = channel.basic_ack(tag, BasicAckOptions::default());
        answered(CONSUMING, &self.delays, acked).await
    }

    /// Publishes a due message to its queue, or to a delay queue if its queue does not take it. Returns its tag once that is confirmed.
    async fn carried_on(&self, due: Delivery) -> u64 {
        let headers = due.properties.headers().as_ref();
        let queue = headers.and_then(|headers| text_of(headers, QUEUE));
        let queue = queue.unwrap_or_default();
        let mut entry = Entry {
            exchange: self.delays.as_str().into(),
            routing_key: queue.as_str().into(),
            properties: passed_on(&due.properties),
            payload: due.data.into(),
            mandatory: true,
        };
        let Err(refused) = self.publish(&entry).await else {
            return due.delivery_tag;
        };
        let waited = headers.and_then(last_death);
        let waited = waited.and_then(|queue| names::waited(&self.delays, &queue));
        let wait = LONGEST.min(2 * waited.unwrap_or_default());
        let wait = self.steps.step(wait).wait;
        let next = format!("tried again in {} s, and others go on", wait.as_secs());
        self.warn(&queue, &entry, &refused, &next);
        entry.exchange = "".into();
        entry.routing_key = names::retry_queue(&self.delays, wait).into();
        let mut pauses = PAUSES.iter();
        while let Err(refused) = self.publish(&entry).await {
            let missing = matches!(refused, Unsent::Unroutable);
            if missing && self.make(wait).await.is_ok() {
                continue;
            }
            self.warn(&entry.routing_key, &entry, &refused, "tried again soon");
            sleep(pauses.next().unwrap_or(LONGEST)).await;
        }
        due.delivery_tag
    }

    async fn make(&self, wait: Duration) -> Result<(), Error> {
        retries::make_retry_queue(&self.link, &self.delays, wait).await
    }

    async fn publish(&self, entry: &Entry) -> Result<(), Unsent> {
        let entries = [entry.clone()].into();
        let answers = self.channels.publish(&entry.routing_key, &entries).await;
        let unknown = || Err(Unsent::Unknown("it has no answer".to_owned()));
        answers.into_iter().next().unwrap_or_else(unknown)
    }

    /// Says that a queue takes no retries: once a minute of each queue.
    #[cold]
    fn warn(&self, queue: &str, entry: &Entry, unsent: &Unsent, next: &str) {
        let now = Instant::now();
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = |last: &Instant| now.duration_since(*last) < MINUTE;
        if warned.get(queue).is_some_and(recent) {
            return;
        }
        warned.insert(queue.to_owned(), now);
        let cause = match unsent {
            Unsent::Unroutable => &format!(
                "it does not exist, or is not bound to the exchange `{}` by its name: start its service, or run `check --create`",
                self.delays
            ),
            Unsent::Refused(cause) | Unsent::Closed(_, cause) | Unsent::Unknown(cause) => cause,
        };
        let message_id = entry.properties.message_id().as_ref();
        let message_id = message_id.map(|id| id.as_str()).unwrap_or_default();
        tracing::warn!(queue, message_id, cause, next, "a queue takes no retries");
    }
}

/// Returns the queue that RabbitMQ took the message from last, by itself.
fn last_death(headers: &FieldTable) -> Option<String> {
    let Some(AMQPValue::FieldArray(deaths)) = headers.inner().get("x-death") else {
        return None;
    };
    match deaths.as_slice().first()? {
        AMQPValue::FieldTable(death) => text_of(death, "queue"),
        _ => None,
    }
}

/// Waits until it is stopped: nothing is ever sent.
async fn stop(stopped: &mut watch::Receiver<()>) {
    while stopped.changed().await.is_ok() {}
}
