//! Large bodies: a mebibyte, and either side of RabbitMQ 4's limit of 16.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod private;

use std::time::Duration;

use loafer_amqp::{Amqp, Options};
use loafer_core::{
    extract::Metadata,
    message::{Message, MessageId},
    outcome::Outcome,
    translate::Bytes,
};
use loafer_runtime::{
    bus::Bus,
    program::{App, Ended, Manager, Route, RouteOptions, Running},
};
use loafer_test_servers::{RabbitMq, Shared, Version};
use tokio::{sync::mpsc, time::timeout};

private::on_both!(large_bodies_are_consumed_retried_and_dead_lettered_whole);

const MEBIBYTE: usize = 1 << 20;
/// `max_message_size` of RabbitMQ 4, unless it is set.
const LIMIT: usize = 16 * MEBIBYTE;
/// Longer than anything here takes, on a machine that is also building.
const DEADLINE: Duration = Duration::from_secs(60);

/// What a handler saw: size, attempt, and whether it came whole.
type Seen = (usize, u32, bool);

/// A service that retries each message once, then rejects it where it says so by its last byte, else acks it.
struct Service {
    queue: String,
    shared: Shared,
    running: Running,
    bus: Bus,
    seen: mpsc::UnboundedReceiver<Seen>,
}

/// Bytes that tell when some are missing, or in another place.
fn body(size: usize, last: u8) -> Vec<u8> {
    let pattern: Vec<u8> = (0..251).collect();
    let mut body = pattern.repeat(size / pattern.len() + 1);
    body.truncate(size);
    *body.last_mut().unwrap() = last;
    body
}

const ACKED: u8 = 252;
const REJECTED: u8 = 253;

impl Service {
    async fn start(version: Version, test: &str) -> Option<Self> {
        let shared = RabbitMq::shared(version, test)?;
        let queue = format!("bodies-{}", MessageId::new());
        let (sees, seen) = mpsc::unbounded_channel();
        let app = App::new().name("bodies").broker(Amqp::new(&shared.url));
        let bus = app.bus();
        let options = RouteOptions::new()
            .queue(&queue)
            .prefetch(4)
            .broker_options::<Amqp>(Options::new().exchange(""));
        let route = Route::new("bodies")
            .provider::<Amqp>()
            .options(options)
            .handler(Bytes::new(), move |message: Message, metadata: Metadata| {
                let payload = message.payload();
                let last = *payload.last().unwrap();
                let whole = *payload == body(payload.len(), last);
                sees.send((payload.len(), metadata.attempt(), whole))
                    .unwrap();
                std::future::ready(match (metadata.attempt(), last) {
                    (1, _) => Outcome::Retry {
                        after: Duration::from_secs(1),
                    },
                    (_, REJECTED) => Outcome::Reject {
                        reason: "too large for me".into(),
                    },
                    _ => Outcome::Ack,
                })
            });
        let manager = Manager::builder().app(app).route(route).build().unwrap();
        Some(Self {
            running: manager.start().await.unwrap(),
            queue,
            shared,
            bus,
            seen,
        })
    }

    async fn publish(&self, body: Vec<u8>) -> Result<MessageId, loafer_core::Error> {
        let topic = format!("amqp:{}", self.queue);
        self.bus.send(topic.as_str(), Message::new(body)).await
    }

    async fn next(&mut self) -> Seen {
        let seen = timeout(DEADLINE, self.seen.recv()).await;
        seen.expect("a message").unwrap()
    }

    async fn end(self) {
        self.running.shutdown();
        assert_eq!(self.running.ended().await, Ended::Clean);
        let management = &self.shared.management;
        for name in management.queues().await {
            if name.starts_with(&self.queue) {
                management.delete(&format!("queues/%2f/{name}")).await;
            }
        }
    }
}

async fn large_bodies_are_consumed_retried_and_dead_lettered_whole(version: Version) {
    let Some(mut service) = Service::start(version, "large bodies").await else {
        return;
    };
    for size in [MEBIBYTE, LIMIT - 1, LIMIT] {
        for last in [ACKED, REJECTED] {
            service.publish(body(size, last)).await.unwrap();
            assert_eq!(service.next().await, (size, 1, true));
            assert_eq!(service.next().await, (size, 2, true));
        }
    }
    let management = service.shared.management.clone();
    management
        .depth_is(&format!("{}.dead", service.queue), 3)
        .await;
    management.depth_is(&service.queue, 0).await;
    service.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_over_the_limit_is_an_error_and_its_neighbours_are_published() {
    let Some(mut service) = Service::start(Version::V4, "a body over the limit").await else {
        return;
    };
    let topic = format!("amqp:{}", service.queue);
    let sizes = [10, LIMIT + 1, 20, LIMIT + 1, 30];
    let batch = sizes.map(|size| Message::new(body(size, ACKED)));
    let ids = batch.each_ref().map(|message| message.id().clone());
    let answers = service.bus.send_all(topic.as_str(), batch).await;
    for ((size, id), answer) in sizes.into_iter().zip(ids).zip(answers) {
        match answer {
            Ok(_) => assert!(size < LIMIT),
            Err(error) => {
                let error = error.to_string();
                println!("{error}");
                assert!(size > LIMIT, "{error}");
                for part in [
                    &service.queue,
                    &id.to_string(),
                    "16777217",
                    "max_message_size",
                ] {
                    assert!(error.contains(part), "`{part}` in: {error}");
                }
            }
        }
    }
    // Beside others that publish at the same time, too.
    let (large, small) = tokio::join!(
        service.publish(body(LIMIT + 1, ACKED)),
        futures_util::future::join_all((0..20).map(|_| service.publish(body(40, ACKED)))),
    );
    assert!(large.is_err());
    assert!(small.iter().all(Result::is_ok), "{small:?}");
    let mut came = Vec::new();
    for _ in 0..2 * (3 + 20) {
        let (size, _, whole) = service.next().await;
        assert!(whole);
        came.push(size);
    }
    came.sort_unstable();
    came.dedup();
    assert_eq!(came, [10, 20, 30, 40]);
    service.shared.management.depth_is(&service.queue, 0).await;
    assert!(service.running.is_ready());
    service.end().await;
}
