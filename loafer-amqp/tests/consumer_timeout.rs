//! Handlers that take longer than RabbitMQ waits for an ack.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod private;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use loafer_amqp::{Amqp, Options};
use loafer_core::{extract::Metadata, message::Message, translate::Bytes};
use loafer_runtime::program::{App, Config, Ended, Manager, Route, RouteOptions, Running};
use loafer_test_servers::{Setup, Version};
use tokio::{
    sync::mpsc::{self, UnboundedReceiver},
    time::{sleep, timeout},
};

private::on_both!(
    what_is_not_settled_in_time_is_redelivered_and_the_rest_goes_on,
    the_argument_of_a_queue_outranks_the_key,
);

/// Longer than anything here takes, on a machine that is also building.
const DEADLINE: Duration = Duration::from_secs(60);

/// Counts a handler that was dropped before its end.
struct Cancelled(Arc<AtomicUsize>);

impl Drop for Cancelled {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A service whose handler never ends on the first delivery of a message that is `slow`.
struct Service {
    running: Running,
    begun: UnboundedReceiver<(String, u32)>,
    cancelled: Arc<AtomicUsize>,
}

impl Service {
    async fn start(url: &str, queue: &str, config: &str, options: RouteOptions) -> Self {
        let (begins, begun) = mpsc::unbounded_channel();
        let cancelled = Arc::new(AtomicUsize::new(0));
        let cancels = cancelled.clone();
        let config = Config::parse(config, [], &["work"]).unwrap();
        let app = App::new().name("timeouts").broker(Amqp::new(url));
        let route = Route::new("work")
            .provider::<Amqp>()
            .options(options.queue(queue))
            .handler(Bytes::new(), move |message: Message, metadata: Metadata| {
                let body = String::from_utf8(message.payload().to_vec()).unwrap();
                let stays = body == "slow" && metadata.deliveries() == 1;
                assert_eq!(metadata.attempt(), 1);
                begins.send((body, metadata.deliveries())).unwrap();
                let cancelled = Cancelled(cancels.clone());
                async move {
                    if stays {
                        sleep(Duration::from_secs(600)).await;
                    }
                    std::mem::forget(cancelled);
                    true
                }
            });
        let manager = Manager::builder().app(app).config(config).route(route);
        Self {
            running: manager.build().unwrap().start().await.unwrap(),
            begun,
            cancelled,
        }
    }

    async fn publish(&self, body: &'static str) {
        self.running
            .publish("work", Message::new(body))
            .await
            .unwrap();
    }

    /// The next that a handler began with, and its deliveries.
    async fn next(&mut self) -> (String, u32) {
        let next = timeout(DEADLINE, self.begun.recv()).await;
        next.expect("a handler begins").unwrap()
    }
}

async fn what_is_not_settled_in_time_is_redelivered_and_the_rest_goes_on(version: Version) {
    let queue = format!("slow-{version:?}").to_lowercase();
    let setup = Setup::default().consumer_timeout(2_000);
    let Some(broker) = private::broker(version, &queue, &setup).await else {
        return;
    };
    private::note_log();
    let config = "[brokers.amqp]\nconsumer_timeout = \"2s\"";
    let options = RouteOptions::new()
        .concurrency(4)
        .broker_options::<Amqp>(Options::new().exchange(""));
    let mut service = Service::start(&broker.url(), &queue, config, options).await;
    service.publish("slow").await;
    assert_eq!(service.next().await, ("slow".to_owned(), 1));
    // Others pass it all the time.
    let mut quick = 0;
    let again = loop {
        service.publish("quick").await;
        quick += 1;
        let next = service.next().await;
        if next.0 == "slow" {
            break next;
        }
        sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(again, ("slow".to_owned(), 2));
    assert_eq!(service.cancelled.load(Ordering::SeqCst), 1);
    service.publish("quick").await;
    broker.management().depth_is(&queue, 0).await;
    broker
        .management()
        .depth_is(&format!("{queue}.dead"), 0)
        .await;
    assert!(quick > 5, "only {quick} passed it");

    let lines = private::logged(&queue);
    println!("{}", lines.join("\n"));
    let at = |part: &str| {
        let found = lines.iter().position(|line| line.contains(part));
        found.unwrap_or_else(|| panic!("no `{part}` in {lines:#?}"))
    };
    let warned = at("four fifths");
    let taken_back = at("`consumer_timeout` of 2s");
    assert!(warned < taken_back);
    assert!(lines[taken_back].contains("under [brokers.amqp]"));
    assert!(service.running.is_ready());
    service.running.shutdown();
    assert_eq!(service.running.ended().await, Ended::Clean);
}

/// RabbitMQ knows it from 3.12 on; Loafer goes by it anyway.
async fn the_argument_of_a_queue_outranks_the_key(version: Version) {
    let queue = format!("argument-{version:?}").to_lowercase();
    let setup = Setup::default().key("channel_tick_interval", "250");
    let Some(broker) = private::broker(version, &queue, &setup).await else {
        return;
    };
    private::note_log();
    let config = "[brokers.amqp]\nconsumer_timeout = \"1h\"";
    let options = Options::new()
        .exchange("")
        .argument("x-consumer-timeout", 1_000);
    let options = RouteOptions::new().broker_options::<Amqp>(options);
    let mut service = Service::start(&broker.url(), &queue, config, options).await;
    service.publish("slow").await;
    assert_eq!(service.next().await, ("slow".to_owned(), 1));
    let warned = async {
        let logged = || {
            let lines = private::logged(&queue);
            lines.iter().any(|line| line.contains("four fifths"))
        };
        while !logged() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(DEADLINE, warned).await.expect("a warning");
    if version == Version::V4 {
        assert_eq!(service.next().await, ("slow".to_owned(), 2));
    }
}
