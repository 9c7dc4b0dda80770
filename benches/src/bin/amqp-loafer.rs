//! Loafer in the AMQP bench: a service with one route as users write it, or a bus that publishes.
//!
//! | style | what it does |
//! |---|---|
//! | `pipelined` | 500 messages are unconfirmed at once, and each is sent by itself |
//! | `batches` | 50 messages are sent together, and ten such batches are unconfirmed at once |

use std::{convert::Infallible, future::ready, process::ExitCode};

use anyhow::{Result, bail};
use futures_util::{StreamExt, TryStreamExt, stream};
use loafer::{
    Amqp, App, Bus, Message, Route, RouteOptions, Text,
    amqp::{Declare, Options},
    broker::Broker,
    program::{BrokerKind, Manager, Program, run_with},
};
use loafer_benches::amqp::task::{BATCH, Task, WINDOW};
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let task = Task::get();
    if !task.publishes {
        return consume(task);
    }
    match publish(task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:?}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the service. Its capacity is handlers and prefetch, together as large as that of the other contestants.
fn consume(task: &Task) -> ExitCode {
    let prefetch = usize::from(task.prefetch);
    let concurrency = (prefetch / 5).max(1);
    let options = RouteOptions::new()
        .queue(&task.queue)
        // The same queue for all contestants: the service makes none, and no dead-letter queue.
        .broker_options::<Amqp>(Options::new().declare(Declare::Off))
        .concurrency(concurrency)
        .prefetch(prefetch - concurrency);
    let route = Route::new("bench")
        .provider::<Amqp>()
        .options(options)
        .handler(Text, async |message: Message| {
            Task::get().handle(message.payload())
        });
    let program = Program {
        name: "amqp-loafer",
        package: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        brokers: &[BrokerKind::of::<Amqp>()],
    };
    let setup = async |app: App| Ok::<_, Infallible>(app.broker(Amqp::new(&Task::get().url)));
    let code = run_with(program, Manager::builder().route(route), setup);
    task.tell();
    code
}

#[tokio::main]
async fn publish(task: &Task) -> Result<()> {
    let mut ending = signal(SignalKind::terminate())?;
    let bus = Bus::new(Amqp::new(&task.url).publisher());
    let topic = format!("amqp:{}", task.queue);
    let mut messages = task.bodies().map(Message::new);
    // The first message connects. The other contestants have connected before they begin, too.
    if let Some(first) = messages.next() {
        bus.send(topic.as_str(), first).await?;
    }
    task.begin();
    let messages = stream::iter(messages);
    match task.style.as_str() {
        "pipelined" => {
            let sent = messages.map(|message| bus.send(topic.as_str(), message));
            let confirmed = sent.buffer_unordered(WINDOW);
            confirmed.try_for_each(|_| ready(Ok(()))).await?;
        }
        "batches" => {
            let sent = messages
                .chunks(BATCH)
                .map(|batch| bus.send_all(topic.as_str(), batch));
            let confirmed = sent.buffer_unordered(WINDOW / BATCH);
            let confirmed = confirmed.flat_map(stream::iter);
            confirmed.try_for_each(|_| ready(Ok(()))).await?;
        }
        other => bail!("no style of publishing: {other}"),
    }
    task.end();
    ending.recv().await;
    task.tell();
    Ok(())
}
