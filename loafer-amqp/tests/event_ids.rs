//! The id of an event: the same on the event itself, on its retries, on its dead letter, and when that is tried again.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod again;
mod support;

use std::{ops::ControlFlow, time::Duration};

use lapin::message::Delivery;
use loafer_amqp::Amqp;
use loafer_core::{
    broker::{DeadLetter, Destination},
    extract::Metadata,
    message::{EVENT_ID, Message, MessageId, Outgoing},
    outcome::Outcome,
    policy::Backoff,
    translate::Bytes,
};
use loafer_runtime::{
    dead_letters::Selection,
    program::{App, Manager, ManagerBuilder, Route},
};
use tokio::{
    sync::mpsc::{self, UnboundedReceiver},
    time::timeout,
};

use support::{DEADLINE, Rabbit, unbound, unique};

again::on_rabbitmq_4!();

/// The attempt, and the ids of event and message, as the handler sees them.
type Seen = (u32, Option<String>, MessageId);

/// A program whose handler wants a retry at first, and then rejects.
fn program(rabbit: &Rabbit, queue: &str) -> (App, Route, UnboundedReceiver<Seen>) {
    let (sees, seen) = mpsc::unbounded_channel();
    let backoff = Backoff::new(Duration::from_secs(1));
    let route = Route::new("event-ids")
        .provider::<Amqp>()
        .options(unbound(queue).backoff(backoff))
        .handler(Bytes::new(), move |message: Message, metadata: Metadata| {
            let event_id = message.event_id().map(str::to_owned);
            let id = message.id().clone();
            sees.send((metadata.attempt(), event_id, id)).unwrap();
            std::future::ready(match metadata.attempt() {
                1 => Outcome::Retry {
                    after: Duration::from_secs(1),
                },
                _ => Outcome::Reject {
                    reason: "seen twice".into(),
                },
            })
        });
    (App::new().broker(rabbit.amqp()), route, seen)
}

fn builder(app: App, route: Route) -> ManagerBuilder {
    Manager::builder().app(app).route(route)
}

async fn next(seen: &mut UnboundedReceiver<Seen>) -> Seen {
    timeout(DEADLINE, seen.recv()).await.unwrap().unwrap()
}

fn header(delivery: &Delivery, name: &str) -> Option<String> {
    let headers = delivery.properties.headers().as_ref()?;
    let text = headers.inner().get(name)?.as_long_string()?;
    Some(text.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_keeps_its_id_to_the_dead_letters_and_back() {
    let rabbit = rabbit!("an_event_keeps_its_id_to_the_dead_letters_and_back");
    let queue = unique("event-ids");
    let dead = format!("{queue}.dead");
    let (app, route, mut seen) = program(&rabbit, &queue);
    let bus = app.bus();
    let running = builder(app, route.clone()).build().unwrap();
    let running = running.start().await.unwrap();
    // Delayed, so that it waits in a delay queue before it is handled at all.
    let outgoing = Outgoing::new(Message::new("{}")).delay(Duration::from_secs(1));
    let id = bus.send(format!("amqp:{queue}"), outgoing).await.unwrap();
    let (attempt, event_id, message_id) = next(&mut seen).await;
    assert_eq!((attempt, &message_id), (1, &id));
    let event_id = event_id.unwrap();
    // A retry is a copy.
    let retried = next(&mut seen).await;
    assert_eq!(retried, (2, Some(event_id.clone()), id.clone()));
    rabbit.depth_is(&dead, 1).await;
    running.shutdown();
    running.ended().await;

    let (app, route, _) = program(&rabbit, &queue);
    let manager = builder(app, route).build().unwrap();
    let dead_letters = manager.dead_letters("event-ids").await.unwrap();
    let mut on = |_| ControlFlow::Continue(());
    let found = dead_letters.list(10, &mut on).await.unwrap();
    let envelope = found.dead_letters[0].envelope.as_ref().unwrap();
    assert_eq!(envelope.event_id, event_id);
    assert_eq!(envelope.message_id, id.to_string());
    assert_eq!(found.dead_letters[0].message.event_id(), Some(&*event_id));

    let tried = dead_letters
        .send(&Selection::All, &Destination::Source, None, &mut on)
        .await;
    assert_eq!(tried.unwrap().sent, 1);
    let again = rabbit.get(&queue).await.unwrap().delivery;
    assert_eq!(header(&again, EVENT_ID), Some(event_id));
    assert_eq!(header(&again, DeadLetter::HEADER), None);
    rabbit.clean(&queue).await;
}
