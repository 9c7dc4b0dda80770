//! FIFO queues on real servers: order within a group, whatever fails.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod support;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_sqs::types::QueueAttributeName as Name;
use loafer_core::{
    extract::Metadata,
    message::{Message, Outgoing},
    outcome::Outcome,
    policy::Backoff,
    translate::Json,
};
use loafer_runtime::program::{App, Ended, Manager, Route, RouteOptions};
use loafer_sqs::Sqs;
use tokio::time::timeout;

const GROUPS: usize = 16;
const MESSAGES: usize = 1000;

/// What handlers did.
#[derive(Default)]
struct Ledger {
    /// First successes, by group, in order.
    succeeded: HashMap<String, Vec<usize>>,
    /// How often a message failed.
    failures: HashMap<usize, u32>,
    /// The groups that have a message running.
    running: HashSet<String>,
}

/// One in ten fails twice, in one way or another.
fn handle(ledger: &Mutex<Ledger>, group: &str, number: usize) -> Outcome {
    let mut ledger = ledger.lock().unwrap();
    let failures = ledger.failures.entry(number).or_default();
    if number % 10 == 3 && *failures < 2 {
        *failures += 1;
        let after = Duration::from_secs(number as u64 % 2);
        return Outcome::Retry { after };
    }
    ledger
        .succeeded
        .entry(group.to_owned())
        .or_default()
        .push(number);
    Outcome::Ack
}

async fn in_order(server: support::Server) {
    let queue = server
        .queue("groups.fifo", Some(Duration::from_secs(30)))
        .await;
    allow_receives(&queue, 100).await;
    let outgoing = |number: usize| {
        let group = format!("g{}", number % GROUPS);
        Outgoing::from(Message::new(number.to_string()).with_group(group))
    };
    queue.send((0..MESSAGES).map(outgoing).collect()).await;

    let ledger: Arc<Mutex<Ledger>> = Arc::default();
    let handler = {
        let ledger = ledger.clone();
        move |number: usize, metadata: Metadata| {
            let ledger = ledger.clone();
            async move {
                let group = metadata.group().unwrap().to_owned();
                let alone = ledger.lock().unwrap().running.insert(group.clone());
                assert!(alone, "two of {group} at once");
                tokio::task::yield_now().await;
                let outcome = handle(&ledger, &group, number);
                ledger.lock().unwrap().running.remove(&group);
                outcome
            }
        }
    };
    let options = RouteOptions::new().queue(&queue.name).concurrency(GROUPS);
    let route = Route::new("groups")
        .provider::<Sqs>()
        .options(options)
        .handler(Json, handler);
    let manager = Manager::builder()
        .app(App::new().broker(server.sqs()))
        .route(route);
    let running = manager.build().unwrap().start().await.unwrap();
    let all = async {
        while running.stats("groups").unwrap().acked < MESSAGES as u64 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let done = timeout(Duration::from_secs(120), all).await;
    assert!(done.is_ok(), "{:?}", running.stats("groups"));
    running.shutdown();
    assert_eq!(running.ended().await, Ended::Clean);
    assert_eq!(queue.depth().await, 0);

    let ledger = ledger.lock().unwrap();
    for group in 0..GROUPS {
        let expected: Vec<_> = (group..MESSAGES).step_by(GROUPS).collect();
        assert_eq!(ledger.succeeded[&format!("g{group}")], expected);
    }
    assert!(
        ledger
            .failures
            .values()
            .filter(|count| **count == 2)
            .count()
            >= MESSAGES / 10
    );
}

async fn allow_receives(queue: &support::Queue, most: u32) {
    let asked = queue
        .client
        .get_queue_attributes()
        .queue_url(&queue.url)
        .attribute_names(Name::RedrivePolicy);
    let answer = asked.send().await.unwrap().attributes.unwrap();
    let policy: serde_json::Value = serde_json::from_str(&answer[&Name::RedrivePolicy]).unwrap();
    let policy = serde_json::json!({
        "deadLetterTargetArn": policy["deadLetterTargetArn"], "maxReceiveCount": most,
    });
    let set = queue
        .client
        .set_queue_attributes()
        .queue_url(&queue.url)
        .attributes(Name::RedrivePolicy, policy.to_string());
    set.send().await.unwrap();
}

#[tokio::test]
async fn groups_stay_in_order_though_messages_fail_on_fauxqs() {
    in_order(server!(
        "LOAFER_TEST_FAUXQS",
        "groups_stay_in_order_though_messages_fail_on_fauxqs"
    ))
    .await;
}

#[tokio::test]
async fn groups_stay_in_order_though_messages_fail_on_elasticmq() {
    in_order(server!(
        "LOAFER_TEST_ELASTICMQ",
        "groups_stay_in_order_though_messages_fail_on_elasticmq"
    ))
    .await;
}

#[tokio::test]
async fn a_failed_message_waits_for_its_backoff_and_its_group_with_it() {
    let server = server!(
        "LOAFER_TEST_ELASTICMQ",
        "a_failed_message_waits_for_its_backoff_and_its_group_with_it"
    );
    let queue = server
        .queue("backoff.fifo", Some(Duration::from_secs(30)))
        .await;
    let message = |number: usize| Outgoing::from(Message::new(number.to_string()).with_group("g"));
    queue.send((0..4).map(message).collect()).await;
    let (handled, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let handler = move |number: usize, metadata: Metadata| {
        let handled = handled.clone();
        async move {
            let well = number != 1 || metadata.attempt() > 1;
            handled.send((number, tokio::time::Instant::now())).unwrap();
            well
        }
    };
    let backoff = Backoff::new(Duration::from_secs(2)).with_jitter(false);
    let options = RouteOptions::new().queue(&queue.name).backoff(backoff);
    let route = Route::new("backoff")
        .provider::<Sqs>()
        .options(options)
        .handler(Json, handler);
    let manager = Manager::builder()
        .app(App::new().broker(server.sqs()))
        .route(route);
    let running = manager.build().unwrap().start().await.unwrap();
    let mut order = Vec::new();
    while order.len() < 5 {
        let next = timeout(Duration::from_secs(20), seen.recv()).await;
        order.push(next.unwrap().unwrap());
    }
    let numbers: Vec<_> = order.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [0, 1, 1, 2, 3]);
    assert!(order[2].1 - order[1].1 >= Duration::from_secs(2));
    running.shutdown();
    running.ended().await;
}
