//! Queues that somebody changes, or deletes and makes again, while a service runs.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use aws_sdk_sqs::types::QueueAttributeName as Name;
use loafer_core::{message::Message, translate::Json};
use loafer_runtime::program::{App, Ended, Manager, Route, RouteOptions, Running};
use loafer_sqs::Sqs;
use support::{Queue, Server};
use tokio::time::{sleep, timeout};

/// Longer than the new lease of the queue, several times.
const LONG: Duration = Duration::from_secs(7);

/// A service whose handler takes long, and how often that was called.
async fn service(server: &Server, queue: &Queue) -> (Running, Arc<AtomicUsize>) {
    let called = Arc::<AtomicUsize>::default();
    let handler = {
        let called = Arc::clone(&called);
        move |_: usize| {
            let called = Arc::clone(&called);
            async move {
                called.fetch_add(1, SeqCst);
                sleep(LONG).await;
                true
            }
        }
    };
    let route = Route::new("changed")
        .provider::<Sqs>()
        .options(RouteOptions::new().queue(&queue.name))
        .handler(Json, handler);
    let manager = Manager::builder()
        .app(App::new().broker(server.sqs()))
        .route(route);
    (manager.build().unwrap().start().await.unwrap(), called)
}

/// Waits until a message is acked, and ends the service once it could have been redelivered. It must have been called once.
async fn is_handled_once(queue: &Queue, running: Running, called: &AtomicUsize) {
    let acked = async {
        while running.stats("changed").unwrap().acked < 1 {
            sleep(Duration::from_millis(50)).await;
        }
    };
    let done = timeout(Duration::from_secs(60), acked).await;
    assert!(done.is_ok(), "{:?}", running.stats("changed"));
    running.shutdown();
    assert_eq!(running.ended().await, Ended::Clean);
    assert_eq!(called.load(SeqCst), 1);
    assert_eq!(queue.depth().await, 0);
}

async fn a_message_runs_once_though_the_lease_of_its_queue_was_lowered(server: Server) {
    let queue = server.queue("lowered", None).await;
    let (running, called) = service(&server, &queue).await;
    queue.set(Name::VisibilityTimeout, "2").await;
    queue.send(vec![Message::new("1").into()]).await;
    is_handled_once(&queue, running, &called).await;
}

async fn a_message_runs_once_though_its_queue_was_made_again_with_a_lower_lease(server: Server) {
    let queue = server.queue("again", None).await;
    let (running, called) = service(&server, &queue).await;
    let delete = queue.client.delete_queue().queue_url(&queue.url);
    delete.send().await.unwrap();
    let fails = async {
        while running.is_ready() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    let failed = timeout(Duration::from_secs(60), fails).await;
    assert!(failed.is_ok(), "receives don't fail");
    let make = queue.client.create_queue().queue_name(&queue.name);
    let make = make.attributes(Name::VisibilityTimeout, "2");
    make.send().await.unwrap();
    queue.send(vec![Message::new("1").into()]).await;
    is_handled_once(&queue, running, &called).await;
}

on_both! {
    a_message_runs_once_though_the_lease_of_its_queue_was_lowered
    a_message_runs_once_though_its_queue_was_made_again_with_a_lower_lease
}
