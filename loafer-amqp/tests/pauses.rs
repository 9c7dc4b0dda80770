//! Routes that are paused, and connections that are lost: what RabbitMQ and the program's readiness see of them.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod private;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use lapin::{Connection, ConnectionProperties, options::QueueDeclareOptions, types::FieldTable};
use loafer_amqp::{Amqp, Options};
use loafer_core::{extract::Metadata, message::Message, translate::Bytes};
use loafer_runtime::program::{App, Ended, Manager, Route, RouteOptions, Running};
use loafer_test_servers::{Setup, Version};
use tokio::time::{sleep, timeout};

private::on_both!(
    a_paused_route_leaves_its_queue_to_others,
    a_lost_connection_is_told_once_and_so_is_its_return,
);

/// Longer than anything here takes, on a machine that is also building.
const DEADLINE: Duration = Duration::from_secs(60);

/// A service that counts what it handles at the first attempt.
struct Service {
    running: Running,
    handled: Arc<AtomicUsize>,
}

impl Service {
    async fn start(url: &str, queue: &str) -> Self {
        let handled = Arc::new(AtomicUsize::new(0));
        let counts = handled.clone();
        let options = Options::new().exchange("");
        let options = RouteOptions::new().broker_options::<Amqp>(options);
        let route = Route::new("work")
            .provider::<Amqp>()
            .options(options.queue(queue))
            .handler(Bytes::new(), move |_: Message, metadata: Metadata| {
                let first = metadata.attempt() == 1;
                counts.fetch_add(usize::from(first), Ordering::SeqCst);
                async move { first }
            });
        let app = App::new().name("pauses").broker(Amqp::new(url));
        let manager = Manager::builder().app(app).route(route).build().unwrap();
        Self {
            running: manager.start().await.unwrap(),
            handled,
        }
    }

    fn handled(&self) -> usize {
        self.handled.load(Ordering::SeqCst)
    }

    async fn publish(&self, messages: usize) {
        for number in 0..messages {
            let message = Message::new(number.to_string());
            self.running.publish("work", message).await.unwrap();
        }
    }

    async fn end(self) {
        self.running.shutdown();
        assert_eq!(self.running.ended().await, Ended::Clean);
    }
}

/// Waits until this holds.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let waited = timeout(DEADLINE, async {
        while !holds() {
            sleep(Duration::from_millis(20)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("not {what}"));
}

/// Waits until the queue has no consumer. What the management API says of it lags behind.
async fn until_nobody_consumes(url: &str, queue: &str) {
    let connection = Connection::connect(url, ConnectionProperties::default());
    let connection = connection.await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let waited = timeout(DEADLINE, async {
        loop {
            let found = channel.queue_declare(queue.into(), passive, FieldTable::default());
            if found.await.unwrap().consumer_count() == 0 {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    });
    waited.await.expect("the consumer goes");
}

async fn a_paused_route_leaves_its_queue_to_others(version: Version) {
    let queue = format!("paused-{version:?}").to_lowercase();
    let Some(broker) = private::broker(version, &queue, &Setup::default()).await else {
        return;
    };
    let paused = Service::start(&broker.url(), &queue).await;
    paused.publish(1).await;
    until("handled", || paused.handled() == 1).await;
    paused.running.pause("work").unwrap();
    assert!(paused.running.is_paused("work").unwrap());
    until_nobody_consumes(&broker.url(), &queue).await;

    // Nobody has these, and RabbitMQ keeps them for whoever comes.
    paused.publish(20).await;
    broker.management().depth_is(&queue, 20).await;
    let other = Service::start(&broker.url(), &queue).await;
    until("handled by the other", || other.handled() == 20).await;
    other.end().await;
    assert_eq!(paused.handled(), 1);
    assert!(paused.running.is_ready());

    paused.running.resume("work").unwrap();
    paused.publish(5).await;
    until("handled again", || paused.handled() == 6).await;
    broker.management().depth_is(&queue, 0).await;
    paused.end().await;
}

async fn a_lost_connection_is_told_once_and_so_is_its_return(version: Version) {
    let queue = format!("lost-{version:?}").to_lowercase();
    let Some(mut broker) = private::broker(version, &queue, &Setup::default()).await else {
        return;
    };
    private::note_log();
    let service = Service::start(&broker.url(), &queue).await;
    service.publish(1).await;
    until("handled", || service.handled() == 1).await;
    assert!(service.running.is_ready());
    broker.settled().await;

    broker.kill().await;
    until("unready", || !service.running.is_ready()).await;
    // Several tries to connect fail meanwhile.
    sleep(Duration::from_secs(3)).await;
    assert!(!service.running.is_ready());
    broker.restart().await;
    until("ready again", || service.running.is_ready()).await;
    service.publish(1).await;
    until("handled after it", || service.handled() == 2).await;

    let lines = private::logged(&queue);
    let told = |level: &str| {
        let of_level = lines.iter().filter(|line| line.contains(level));
        of_level.count()
    };
    assert_eq!(told("ERROR"), 1, "{lines:#?}");
    let back = lines.iter().filter(|line| line.contains("receiving again"));
    assert_eq!(back.count(), 1, "{lines:#?}");
    service.end().await;
}
