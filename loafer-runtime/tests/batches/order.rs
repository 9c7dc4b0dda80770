//! Batches of a queue that keeps its groups in order.

use std::time::Duration;

use loafer_core::{
    extract::{Batch, BatchItem, BatchOutcome, State},
    message::Message,
    outcome::Outcome,
    policy::Backoff,
    translate::Json,
};
use loafer_runtime::{
    program::{Route, RouteOptions},
    testing,
    testing::TestApp,
};
use tokio::time::sleep;

use super::{Seen, lingering, start};

/// Messages of groups `a` and `b`, in turn.
async fn publish_groups(app: &TestApp, numbers: impl IntoIterator<Item = u32>) {
    for number in numbers {
        let group = if number % 2 == 0 { "a" } else { "b" };
        let message = Message::new(number.to_string()).with_group(group);
        app.publish_message("r", message).await;
    }
}

fn fifo() -> RouteOptions {
    let backoff = Backoff::new(Duration::from_secs(1)).with_jitter(false);
    lingering().queue("r.fifo").backoff(backoff)
}

#[tokio::test(start_paused = true)]
async fn messages_of_one_group_share_a_batch_in_order() {
    let (app, seen) = start(fifo(), |_| true).await;
    publish_groups(&app, 0..10).await;
    app.settled().await;
    assert_eq!(seen.sizes(), [10]);
    let (a, b): (Vec<_>, Vec<_>) = seen.batches()[0]
        .iter()
        .partition(|number| **number % 2 == 0);
    assert_eq!((a, b), (vec![0, 2, 4, 6, 8], vec![1, 3, 5, 7, 9]));
}

#[tokio::test(start_paused = true)]
async fn behind_what_was_not_acked_its_group_comes_again_in_order() {
    fn answer(batch: &Batch<u32>) -> BatchOutcome {
        let first = |item: &BatchItem<u32>| item.metadata().attempt() == 1;
        batch
            .iter()
            .map(|item| !(**item == 3 && first(item)))
            .collect()
    }
    let (app, seen) = start(fifo(), answer).await;
    publish_groups(&app, 0..10).await;
    app.settled().await;
    assert_eq!(app.route("r").acked(), 10);
    let batches = seen.batches();
    assert_eq!(batches[0].len(), 10);
    // Of group `b` 1 was done; 3 and what came behind it was handled again, in order. Group `a` was not.
    assert_eq!(batches[1..].concat(), [3, 5, 7, 9], "{batches:?}");
    assert_eq!(app.running().stats("r").unwrap().retried, 1);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_messages_in_batches_succeed_in_the_order_of_their_groups() {
    let done = Seen::default();
    let handler = async |batch: Batch<u32>, done: State<Seen>| -> BatchOutcome {
        sleep(Duration::from_millis(u64::from(*batch[0] % 7))).await;
        let outcomes = batch
            .iter()
            .map(|item| **item % 10 != 3 || item.metadata().attempt() > 2);
        let outcome: BatchOutcome = outcomes.collect();
        let mut failed = Vec::new();
        let mut acked = Vec::new();
        for (item, verdict) in batch.iter().zip(outcome.verdicts()) {
            let group = item.metadata().group();
            if failed.contains(&group) {
                continue;
            }
            if verdict.is_ack() {
                acked.push(**item);
            } else {
                failed.push(group);
            }
        }
        done.note(&acked.into());
        outcome
    };
    let route = Route::new("r")
        .options(fifo().linger(Duration::from_millis(20)))
        .batch_handler(Json, handler);
    let app = testing::app().state(done.clone()).route(route);
    let app = app.max_receives(100).start().await;
    for number in 0..1000_u32 {
        let message = Message::new(number.to_string()).with_group(format!("g{}", number % 16));
        app.publish_message("r", message).await;
    }
    app.settled().await;
    assert_eq!(app.route("r").acked(), 1000);
    let done = done.batches().concat();
    for group in 0..16 {
        let expected: Vec<_> = (group..1000).step_by(16).collect();
        let of_group: Vec<_> = done
            .iter()
            .copied()
            .filter(|number| number % 16 == group)
            .collect();
        assert_eq!(of_group, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn behind_what_was_rejected_its_group_comes_again_in_order() {
    fn answer(batch: &Batch<u32>) -> BatchOutcome {
        let outcomes = batch.values().map(|number| match number {
            3 => Outcome::Reject {
                reason: "not for us".into(),
            },
            _ => Outcome::Ack,
        });
        outcomes.collect()
    }
    let (app, seen) = start(fifo().batch(4), answer).await;
    publish_groups(&app, 0..20).await;
    app.settled().await;
    let route = app.route("r");
    assert_eq!((route.acked(), route.dead_lettered()), (19, 1));
    let batches = seen.batches();
    let rejected = batches.iter().position(|batch| batch.contains(&3));
    // What came with it was handled again, with the rest of its group, in order.
    let mut after = batches[rejected.unwrap() + 1..].concat();
    after.retain(|number| number % 2 == 1);
    assert_eq!(after, [5, 7, 9, 11, 13, 15, 17, 19], "{batches:?}");
}
