//! Messages of a FIFO group that fail again and again, on a real server that gives out several of a group at once: they go alone.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod support;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_sqs::types::QueueAttributeName as Name;
use loafer_core::{
    extract::{Batch, Metadata},
    message::{Message, Outgoing},
    outcome::Outcome,
    policy::Backoff,
    translate::Json,
};
use loafer_runtime::program::{App, Ended, Manager, Route, RouteOptions, Running};
use loafer_sqs::Sqs;
use tokio::time::{Instant, sleep, timeout};

/// Each call: the message, and which attempt it said.
type Calls = Arc<Mutex<Vec<(usize, u32)>>>;

struct Case {
    name: &'static str,
    /// `maxReceiveCount`.
    receives: u32,
    max_attempts: Option<u32>,
    poisons: &'static [usize],
    batches: bool,
}

fn rejected(number: usize, poisons: &[usize]) -> Outcome {
    match poisons.contains(&number) {
        true => Outcome::Retry {
            after: Duration::from_millis(200),
        },
        false => Outcome::Ack,
    }
}

fn route(case: &Case, queue: &str, calls: &Calls) -> Route {
    let backoff = Backoff::new(Duration::from_millis(200)).with_jitter(false);
    let mut options = RouteOptions::new().queue(queue).backoff(backoff);
    if let Some(most) = case.max_attempts {
        options = options.max_attempts(most);
    }
    let route = Route::new(case.name).provider::<Sqs>().options(options);
    let (calls, poisons) = (calls.clone(), case.poisons);
    match case.batches {
        false => route.handler(Json, move |number: usize, metadata: Metadata| {
            calls.lock().unwrap().push((number, metadata.attempt()));
            std::future::ready(rejected(number, poisons))
        }),
        true => route.batch_handler(Json, move |batch: Batch<usize>| {
            let mut bad = false;
            for item in batch {
                calls
                    .lock()
                    .unwrap()
                    .push((*item, item.metadata().attempt()));
                bad |= poisons.contains(&item);
            }
            std::future::ready(!bad)
        }),
    }
}

async fn start(server: &support::Server, route: Route) -> Running {
    let manager = Manager::builder()
        .app(App::new().broker(server.sqs()))
        .route(route);
    manager.build().unwrap().start().await.unwrap()
}

/// Waits until this holds.
async fn until(holds: impl Fn() -> bool) -> bool {
    let wait = async {
        while !holds() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(60), wait).await.is_ok()
}

/// Lets a queue move a message after so many receives.
async fn allow(queue: &support::Queue, receives: u32) {
    let policy = queue.attribute(&queue.url, Name::RedrivePolicy).await;
    let policy: serde_json::Value = serde_json::from_str(&policy.unwrap()).unwrap();
    let policy = serde_json::json!({
        "deadLetterTargetArn": policy["deadLetterTargetArn"], "maxReceiveCount": receives,
    });
    queue.set(Name::RedrivePolicy, &policy.to_string()).await;
}

async fn poisons_go_alone(case: Case) {
    let server = server!("LOAFER_TEST_ELASTICMQ", "poisons_go_alone");
    let queue = format!("{}.fifo", case.name);
    let queue = server.queue(&queue, Some(Duration::from_secs(2))).await;
    allow(&queue, case.receives).await;
    let message = |number: usize| Outgoing::from(Message::new(number.to_string()).with_group("g"));
    queue.send((1..=10).map(message).collect()).await;

    let calls = Calls::default();
    let running = start(&server, route(&case, &queue.name, &calls)).await;
    let (dead, good) = (case.poisons.len(), 10 - case.poisons.len());
    let over = until(|| {
        let stats = running.stats(case.name).unwrap();
        (stats.acked, stats.rejected) == (good as u64, dead as u64)
    });
    assert!(over.await, "{:?}", running.stats(case.name));
    running.shutdown();
    assert_eq!(running.ended().await, Ended::Clean);

    let tries = case.max_attempts.unwrap_or(u32::MAX).min(case.receives);
    let calls = calls.lock().unwrap().clone();
    let attempts = |number: usize| -> Vec<u32> {
        let of = calls.iter().filter(|(other, _)| *other == number);
        of.map(|(_, attempt)| *attempt).collect()
    };
    for number in 1..=10 {
        let attempts = attempts(number);
        match case.poisons.contains(&number) {
            true => assert_eq!(attempts.last(), Some(&tries), "{number}: {calls:?}"),
            // A batch that failed is tried again one by one: its first message has failed with it.
            false if case.batches => {
                let most = if number == 1 { 2 } else { 1 };
                assert!(attempts.iter().all(|it| *it <= most), "{calls:?}");
            }
            false => assert_eq!(attempts, [1], "{number}: {calls:?}"),
        }
    }
    let mut last: Vec<usize> = (1..=10).collect();
    last.sort_by_key(|number| calls.iter().rposition(|(other, _)| other == number));
    assert_eq!(last, (1..=10).collect::<Vec<_>>(), "in order");

    let dead_letters = support::receive(&queue.dead_letters().await, dead).await;
    let bodies = dead_letters.iter().map(|it| it.message.payload().clone());
    let bodies: Vec<_> = bodies
        .map(|body| {
            std::str::from_utf8(&body)
                .unwrap()
                .parse::<usize>()
                .unwrap()
        })
        .collect();
    assert_eq!(bodies, case.poisons);
    assert_eq!(queue.depth_of_dead_letters().await, dead as u32);
    assert_eq!(queue.depth().await, 0);
}

macro_rules! cases {
    ($($test:ident = $name:literal: $receives:literal, $attempts:expr, $poisons:expr, $batches:literal;)*) => {$(
        #[tokio::test]
        async fn $test() {
            poisons_go_alone(Case {
                name: $name,
                receives: $receives,
                max_attempts: $attempts,
                poisons: &$poisons,
                batches: $batches,
            })
            .await;
        }
    )*};
}

cases! {
    a_head_that_fails_goes_alone = "poison0": 3, None, [1], false;
    a_message_that_fails_goes_alone_before_the_queue_would_move_it = "poison1": 10, Some(3), [3], false;
    two_that_fail_go_alone = "poison2": 10, None, [1, 3], false;
    two_that_fail_go_alone_though_more_attempts_are_allowed = "poison3": 3, Some(8), [2, 5], false;
    a_batch_that_fails_gives_up_what_fails_alone = "poison4": 3, None, [3], true;
    a_batch_of_two_that_fail_gives_up_both = "poison5": 10, Some(3), [1, 4], true;
}

#[tokio::test]
async fn after_an_outage_what_waited_runs_as_the_first_attempt() {
    const NAME: &str = "after_an_outage";
    let server = server!(
        "LOAFER_TEST_ELASTICMQ",
        "after_an_outage_what_waited_runs_as_the_first_attempt"
    );
    let queue = server
        .queue("after_an_outage.fifo", Some(Duration::from_secs(30)))
        .await;
    allow(&queue, 100).await;
    let message = |number: usize| {
        let group = format!("g{}", number % 50);
        Outgoing::from(Message::new(number.to_string()).with_group(group))
    };
    queue.send((0..200).map(message).collect()).await;

    let calls = Calls::default();
    let back = Instant::now() + Duration::from_secs(10);
    let handler = {
        let calls = calls.clone();
        move |number: usize, metadata: Metadata| {
            calls.lock().unwrap().push((number, metadata.attempt()));
            std::future::ready(Instant::now() > back)
        }
    };
    let backoff = Backoff::new(Duration::from_millis(200)).with_max(Duration::from_secs(1));
    let options = RouteOptions::new().queue(&queue.name).backoff(backoff);
    let route = Route::new(NAME)
        .provider::<Sqs>()
        .options(options)
        .handler(Json, handler);
    let running = start(&server, route).await;
    let over = until(|| running.stats(NAME).unwrap().acked == 200).await;
    let stats = running.stats(NAME).unwrap();
    assert!(over, "{stats:?}");
    running.shutdown();
    assert_eq!(running.ended().await, Ended::Clean);
    assert_eq!(queue.depth_of_dead_letters().await, 0);
    let calls = calls.lock().unwrap();
    for number in 50..200 {
        let first = calls.iter().find(|(other, _)| *other == number).unwrap();
        assert_eq!(first.1, 1, "message {number}: {stats:?}");
    }
}
