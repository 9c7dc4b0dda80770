//! shove in the memory bench: its in-process broker, and either of its flows: a message for each call of the handler, or a batch.

#[path = "../../../src/orders.rs"]
mod orders;

use std::{env, pin::Pin, time::Duration};

use anyhow::{Result, bail};
use shove::{
    BatchConsumerOptions, BatchMessageHandler, Broker, Codec, ConsumerOptions, InMemory,
    MessageHandler, MessageMetadata, Outcome, ShoveError, TopologyBuilder, define_topic,
    inmemory::{InMemoryBroker, InMemoryConsumer},
};
use tokio::task::unconstrained;

use orders::{BODY, NAME, Order, Task};

define_topic!(
    Orders,
    Order,
    TopologyBuilder::new(NAME).build(),
    codec = Encoded
);

/// JSON whose body is there already, as it is for the other contestants: serializing is not what is timed.
struct Encoded;

impl Codec<Order> for Encoded {
    const NAME: &'static str = "json";

    fn encode(_: &Order) -> Result<Vec<u8>, ShoveError> {
        Ok(BODY.to_vec())
    }

    fn decode(body: &[u8]) -> Result<Order, ShoveError> {
        Ok(serde_json::from_slice(body)?)
    }
}

/// What is published. The codec knows its body.
const ORDER: Order = Order {
    id: 1_000_000,
    quantity: 37,
};

/// One publish call. Without the box, rustc can't prove that the task of all of them is `Send`.
type Published = Pin<Box<dyn Future<Output = ()> + Send>>;

struct Handler;

impl MessageHandler<Orders> for Handler {
    type Context = ();

    async fn handle(&self, order: Order, _: MessageMetadata, (): &()) -> Outcome {
        outcome(orders::handle(&order))
    }
}

impl BatchMessageHandler<Orders> for Handler {
    type Context = ();

    async fn handle_batch(&self, batch: Vec<(Order, MessageMetadata)>, (): &()) -> Outcome {
        // The outcome is the whole batch's.
        let wanted = batch.iter().filter(|(order, _)| orders::handle(order));
        outcome(wanted.count() == batch.len())
    }
}

fn outcome(wanted: bool) -> Outcome {
    if wanted { Outcome::Ack } else { Outcome::Retry }
}

/// How long a batch waits for more messages: one tick of tokio's clock, the least that shove can express.
const AGE: Duration = Duration::from_millis(1);

fn main() -> Result<()> {
    let task = Task::get();
    task.runtime().block_on(run(task))
}

async fn run(task: Task) -> Result<()> {
    let client = InMemoryBroker::new();
    let broker = Broker::<InMemory>::from_client(client.clone());
    broker.topology().declare::<Orders>().await?;
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["message", _, _] => one_by_one(client, task.concurrency.try_into()?),
        ["batch", size, _, _] => in_batches(&broker, size.parse()?, task.concurrency),
        _ => bail!("give `message` or `batch SIZE`, and then the task"),
    }
    let publisher = broker.publisher().await?;
    // As a task of the runtime, shove publishes up to five times as fast as on the thread of `block_on`, so the bench does that here alone.
    let publishing = task.run(move || -> Published {
        let publisher = publisher.clone();
        // A burst yields to the consumers after some messages otherwise, and they would handle preloaded ones too early.
        Box::pin(unconstrained(async move {
            let published = publisher.publish::<Orders>(&ORDER).await;
            published.expect("the broker is in this process");
        }))
    });
    tokio::spawn(publishing).await?;
    Ok(())
}

/// Consumes with one consumer, which runs a task for each message and has as many at once as handlers may run.
fn one_by_one(client: InMemoryBroker, concurrency: u16) {
    // Neither Loafer nor RustStream limits a handler's time by default.
    let options = ConsumerOptions::preset(concurrency).without_handler_timeout();
    tokio::spawn(async move {
        let consumer = InMemoryConsumer::new(client);
        consumer.run::<Orders, _>(Handler, (), options).await
    });
}

/// Consumes with as many consumers as handlers may run, since a consumer has one batch in its handler at a time.
fn in_batches(broker: &Broker<InMemory>, size: usize, consumers: usize) {
    for _ in 0..consumers {
        let options = BatchConsumerOptions::new()
            .with_max_batch_size(size)
            .with_max_batch_age(AGE)
            .without_handler_timeout();
        let consumer = broker.batch_consumer();
        tokio::spawn(async move { consumer.run::<Orders, _>(Handler, (), options).await });
    }
}
