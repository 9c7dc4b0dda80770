//! A queue of a case.

use std::{future::Future, time::Duration};

use tokio::time::{Instant, sleep};

use super::{
    BrokerUnderTest, Feature, QueueSpec, TestQueue,
    case::{Checked, Fault, ensure},
    program::Program,
    stage::{LONG, Stage},
};
use loafer_core::{
    broker::{Broker, Delivery, Open, Provider, Publisher, Settle, Settled, Settlement, Source},
    message::{Message, MessageId, Outgoing},
    outcome::IntoOutcome,
    translate::Bytes,
};
use loafer_runtime::{
    dead_letters::DeadLetters,
    program::{App, Manager, Route, RouteOptions},
};

pub(super) type ProviderOf<S> = <<S as BrokerUnderTest>::Broker as Broker>::Provider;
pub(super) type DeliveryOf<S> = Delivery<<ProviderOf<S> as Provider>::Receipt>;

/// The receives after which a queue of a case gives a message up, unless it says otherwise: never.
const NEVER: u32 = 1_000;
/// How long one receive of a case waits.
const POLL: Duration = Duration::from_secs(2);
/// How long a case waits after a receive that brought nothing.
const PAUSE: Duration = Duration::from_millis(50);

/// A queue of a case.
pub(super) struct Queue<S: BrokerUnderTest> {
    stage: Stage<S>,
    wanted: QueueSpec,
    pub(super) made: TestQueue,
}

impl<S: BrokerUnderTest> Stage<S> {
    /// Makes a queue with a long lease that gives no message up.
    pub(super) async fn queue(&self) -> Checked<Queue<S>> {
        self.queue_with(|_| {}).await
    }

    /// Makes a queue with a long lease that gives no message up, apart from what is changed.
    pub(super) async fn queue_with(
        &self,
        change: impl FnOnce(&mut QueueSpec),
    ) -> Checked<Queue<S>> {
        let mut wanted = QueueSpec {
            name: self.name(),
            ordered: false,
            max_receives: NEVER,
            lease: LONG,
            topic: None,
        };
        change(&mut wanted);
        let made = self.subject.queue(&wanted).await;
        let made = made.map_err(|error| {
            Fault::new(format_args!(
                "queue `{}` was not made: {error}",
                wanted.name
            ))
        })?;
        Ok(Queue {
            stage: self.clone(),
            wanted,
            made,
        })
    }
}

impl<S: BrokerUnderTest> Queue<S> {
    /// Publishes to it; each must be confirmed.
    pub(super) async fn publish<M: Into<Outgoing>>(
        &self,
        messages: impl IntoIterator<Item = M>,
    ) -> Checked<Vec<MessageId>> {
        let answers = self.try_publish(messages).await?;
        let ids = answers.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(ids)
    }

    /// Publishes to it; an answer a message.
    pub(super) async fn try_publish<M: Into<Outgoing>>(
        &self,
        messages: impl IntoIterator<Item = M>,
    ) -> Checked<Vec<Result<MessageId, loafer_core::Error>>> {
        let publisher = self.stage.subject.broker().publisher();
        let answers = publish(&publisher, &self.made, messages).await?;
        publisher.close().await;
        Ok(answers)
    }

    /// A provider of it, open.
    pub(super) async fn provider(&self) -> Checked<ProviderOf<S>> {
        self.provider_of(&self.made.queue).await
    }

    async fn provider_of(&self, queue: &str) -> Checked<ProviderOf<S>> {
        let mut source = Source::new(&self.wanted.name, queue);
        source.policy.lease = self.lease();
        let subject = &self.stage.subject;
        let options = subject.options(queue);
        let provider = subject.broker().provider(&source, &options)?;
        provider.open(Open::Existing).await?;
        Ok(provider)
    }

    fn lease(&self) -> Option<Duration> {
        self.stage.can(Feature::Leases).then_some(self.wanted.lease)
    }

    /// The name of its routes.
    pub(super) fn route_name(&self) -> &str {
        &self.wanted.name
    }

    /// A route on it, without a handler.
    pub(super) fn route(&self, options: RouteOptions) -> Route {
        let queue = &self.made.queue;
        let own = self.stage.subject.options(queue);
        let mut options = options.queue(queue).broker_options::<S::Broker>(own);
        if let Some(lease) = self.lease() {
            options = options.lease(lease);
        }
        Route::new(self.wanted.name.clone())
            .provider::<S::Broker>()
            .options(options)
    }

    /// A service of one route on it.
    pub(super) async fn start<F, Fut>(&self, options: RouteOptions, handler: F) -> Checked<Program>
    where
        F: Fn(Message) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output: IntoOutcome> + Send + 'static,
    {
        let route = self.route(options).handler(Bytes::new(), handler);
        self.stage.run([route]).await
    }

    /// Receives until there are so many.
    pub(super) async fn receive(
        &self,
        provider: &ProviderOf<S>,
        count: usize,
    ) -> Checked<Vec<DeliveryOf<S>>> {
        let (patience, batch) = (
            self.stage.patience(),
            provider.capabilities().receive_batch.max(1),
        );
        let (mut into, end) = (Vec::new(), Instant::now() + patience);
        while into.len() < count {
            let came = into.len();
            ensure!(
                Instant::now() < end,
                "{came} of {count} messages came within {patience:?}"
            );
            let max = batch.min(count - came);
            provider.receive(max, POLL, &mut into).await?;
            if into.len() == came {
                // A receive that ends too soon must not keep time from passing.
                sleep(PAUSE).await;
            }
        }
        ensure!(
            into.len() == count,
            "{} messages came where at most {count} were asked for",
            into.len()
        );
        Ok(into)
    }

    /// Receives one message.
    pub(super) async fn receive_one(&self, provider: &ProviderOf<S>) -> Checked<DeliveryOf<S>> {
        let mut one = self.receive(provider, 1).await?;
        one.pop().ok_or_else(|| Fault::new("no message came"))
    }

    /// Nothing comes for so long.
    pub(super) async fn nothing_for(&self, provider: &ProviderOf<S>, time: Duration) -> Checked {
        let (mut into, end) = (Vec::new(), Instant::now() + time);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            provider.receive(1, left, &mut into).await?;
            if let Some(delivery) = into.first() {
                let body = String::from_utf8_lossy(delivery.message.payload()).into_owned();
                ensure!(false, "message {body:.20} came where none was due");
            }
            if left.is_zero() {
                return Ok(());
            }
            // Brokers that wait in whole seconds do not wait for the rest of one.
            sleep(left.min(PAUSE)).await;
        }
    }

    /// Returns its dead letters, to be listed and sent away.
    pub(super) async fn dead_letter_queue(&self) -> Checked<DeadLetters> {
        let route = self.route(RouteOptions::new());
        let route = route.handler(Bytes::new(), async |_: Vec<u8>| true);
        let app = App::new().broker(self.stage.subject.broker());
        let manager = Manager::builder().app(app).route(route).build()?;
        Ok(manager.dead_letters(&self.wanted.name).await?)
    }

    /// Returns what its dead letters are opened with by whoever keeps them: a new value of the broker, as after a restart, its source, its options.
    pub(super) fn parts(&self) -> (S::Broker, Source, <S::Broker as Broker>::Options) {
        let (subject, queue) = (&self.stage.subject, &self.made.queue);
        let source = Source::new(&self.wanted.name, queue);
        (subject.broker(), source, subject.options(queue))
    }

    /// Receives and acks so many of its dead letters.
    pub(super) async fn dead_letters(&self, count: usize) -> Checked<Vec<Message>> {
        let Some(queue) = &self.made.dead_letters else {
            return Err(Fault::new("there is no queue for dead letters: declare it"));
        };
        let provider = self.provider_of(queue).await?;
        let came = self.receive(&provider, count).await?;
        done(&provider, &came, &Settlement::Ack).await?;
        Ok(came.into_iter().map(|delivery| delivery.message).collect())
    }
}

/// Publishes with this publisher; an answer a message.
pub(super) async fn publish<M: Into<Outgoing>>(
    publisher: &impl Publisher,
    made: &TestQueue,
    messages: impl IntoIterator<Item = M>,
) -> Checked<Vec<Result<MessageId, loafer_core::Error>>> {
    let batch: Vec<Outgoing> = messages.into_iter().map(Into::into).collect();
    let mut answers = Vec::new();
    publisher.publish(&made.topic, &batch, &mut answers).await;
    ensure!(
        answers.len() == batch.len(),
        "{} answers to {} messages published",
        answers.len(),
        batch.len()
    );
    Ok(answers)
}

/// Settles these, each in its way; an answer an entry.
pub(super) async fn settle<P: Provider>(
    provider: &P,
    entries: impl IntoIterator<Item = (&Delivery<P::Receipt>, Settlement)>,
) -> Checked<Vec<Settled>> {
    let entry = |(delivery, settlement): (&Delivery<P::Receipt>, Settlement)| Settle {
        receipt: delivery.receipt.clone(),
        message: delivery.message.clone(),
        settlement,
    };
    let batch: Vec<_> = entries.into_iter().map(entry).collect();
    let mut answers = Vec::new();
    provider.settle(&batch, &mut answers).await;
    ensure!(
        answers.len() == batch.len(),
        "{} answers to {} settlements",
        answers.len(),
        batch.len()
    );
    Ok(answers)
}

/// Settles these in one way; each must be done.
pub(super) async fn done<'d, P: Provider>(
    provider: &P,
    deliveries: impl IntoIterator<Item = &'d Delivery<P::Receipt>>,
    settlement: &Settlement,
) -> Checked {
    let entries = deliveries.into_iter();
    let entries = entries.map(|delivery| (delivery, settlement.clone()));
    for answer in settle(provider, entries).await? {
        ensure!(
            matches!(answer, Settled::Done),
            "{settlement:?} was answered with {answer:?}"
        );
    }
    Ok(())
}
