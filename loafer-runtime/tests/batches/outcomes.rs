//! What becomes of each message of a batch.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use loafer_core::{
    extract::{Batch, BatchOutcome},
    message::Message,
    outcome::{BoxError, FailureKind, Outcome},
    policy::Undecodable,
    translate::Json,
};
use loafer_runtime::{
    handler::{Failure, Report},
    program::Route,
    testing,
};
use tokio::time::sleep;

use super::{lingering, publish, start};

/// Fails of what is 3, and nothing else.
fn not_three(batch: &Batch<u32>) -> BatchOutcome {
    batch.values().map(|number| *number != 3).collect()
}

#[tokio::test(start_paused = true)]
async fn each_message_has_its_own_outcome() {
    fn answer(batch: &Batch<u32>) -> BatchOutcome {
        let outcomes = batch.iter().map(|item| match **item {
            0 => Ok(Outcome::Ack),
            1 if item.metadata().attempt() == 1 => Ok(Outcome::Retry {
                after: Duration::from_secs(5),
            }),
            2 => Ok(Outcome::Reject {
                reason: "not for us".into(),
            }),
            3 => Err("no"),
            _ => Ok(Outcome::Ack),
        });
        outcomes.collect()
    }
    let (app, seen) = start(lingering(), answer).await;
    publish(&app, 0..5).await;
    app.settled().await;
    let route = app.route("r");
    assert_eq!(
        (route.acked(), route.failed(), route.dead_lettered()),
        (3, 3, 2)
    );
    assert_eq!(seen.batches()[0], [0, 1, 2, 3, 4]);
    assert_eq!(seen.batches()[1], [1]);
}

/// The failures a reporter was told of.
#[derive(Clone, Default)]
struct Failures(Arc<Mutex<Vec<(String, FailureKind, String)>>>);

impl Report for Failures {
    fn failed(&self, failure: &Failure) {
        let payload = String::from_utf8_lossy(failure.message().payload()).into_owned();
        let entry = (payload, failure.kind(), failure.reason());
        self.0.lock().unwrap().push(entry);
    }
}

/// Runs one route once for three messages and an undecodable one in their midst, and gives the failures of the first attempt.
async fn failures(route: Route) -> Vec<(String, FailureKind, String)> {
    let failures = Failures::default();
    let app = testing::app().route(route).report(failures.clone());
    let app = app.max_receives(1).start().await;
    publish(&app, [0, 1]).await;
    app.publish("r", "garbage").await;
    publish(&app, [2]).await;
    app.settled().await;
    assert_eq!(app.route("r").acked(), 0);
    failures.0.lock().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn what_fails_the_call_fails_each_message_and_leaves_what_did_not_decode_undecodable() {
    let route = || {
        let options = lingering().timeout(Duration::from_secs(1));
        Route::new("r").options(options)
    };
    let error = route().batch_handler(
        Json,
        async |_: Batch<u32>| -> Result<BatchOutcome, BoxError> { Err("no disk".into()) },
    );
    let panic = route().batch_handler(Json, async |batch: Batch<u32>| -> bool {
        assert!(batch.is_empty(), "oh");
        true
    });
    let timeout = route().batch_handler(Json, async |_: Batch<u32>| -> bool {
        std::future::pending().await
    });
    let too_few = route().batch_handler(Json, async |batch: Batch<u32>| -> BatchOutcome {
        batch.iter().skip(1).map(|_| true).collect()
    });
    for (route, kind, reason) in [
        (error, FailureKind::Error, "no disk"),
        (panic, FailureKind::Panic, "panicked: oh"),
        (timeout, FailureKind::Timeout, "the handler took longer"),
        (
            too_few,
            FailureKind::Error,
            "the handler gave 2 outcomes for 3 messages",
        ),
    ] {
        let told = failures(route).await;
        let payloads: Vec<_> = told.iter().map(|(payload, ..)| payload.as_str()).collect();
        assert_eq!(payloads, ["0", "1", "\"garbage\"", "2"], "{told:?}");
        for (payload, of_kind, told) in &told {
            if payload == "\"garbage\"" {
                assert_eq!(*of_kind, FailureKind::Undecodable, "{told}");
            } else {
                assert_eq!(*of_kind, kind, "{told}");
                assert!(told.starts_with(reason), "{told}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_decode_fails_alone() {
    let (app, seen) = start(lingering().undecodable(Undecodable::Reject), |_| true).await;
    publish(&app, [0]).await;
    app.publish_message("r", Message::new("no JSON")).await;
    publish(&app, [1]).await;
    app.settled().await;
    assert_eq!(seen.batches(), [[0, 1]]);
    let route = app.route("r");
    assert_eq!(
        (route.acked(), route.failed(), route.dead_lettered()),
        (2, 1, 1)
    );
    assert_eq!(route.dead_letters()[0].payload(), "no JSON");
}

#[tokio::test(start_paused = true)]
async fn where_nothing_decodes_the_handler_is_not_called() {
    let (app, seen) = start(lingering(), |_| true).await;
    for _ in 0..3 {
        app.publish("r", "no number").await;
    }
    app.settled().await;
    assert_eq!(seen.batches(), Vec::<Vec<u32>>::new());
    assert_eq!((app.route("r").failed(), app.route("r").acked()), (9, 0));
}

#[tokio::test(start_paused = true)]
async fn on_error_is_asked_of_each_message_that_failed() {
    let route = Route::new("r")
        .options(lingering())
        .batch_handler(Json, async |_: Batch<u32>| -> Result<bool, &str> {
            Err("no")
        })
        .on_error(async |failure: Failure| {
            sleep(Duration::from_secs(1)).await;
            match &failure.message().payload()[..] {
                b"0" => Outcome::Ack,
                b"1" => Outcome::Reject {
                    reason: failure.reason().into(),
                },
                _ => Outcome::Retry {
                    after: Duration::from_secs(1),
                },
            }
        });
    let app = testing::app().route(route).start().await;
    publish(&app, 0..3).await;
    app.settled().await;
    let route = app.route("r");
    assert_eq!((route.acked(), route.dead_lettered()), (1, 2));
    // The first time all three, then the third twice more.
    assert_eq!(route.failed(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_false_of_one_message_leaves_that_one() {
    let (app, seen) = start(lingering(), not_three).await;
    publish(&app, 0..5).await;
    app.settled().await;
    let route = app.route("r");
    assert_eq!(
        (route.acked(), route.retried(), route.dead_lettered()),
        (4, 3, 1)
    );
    assert_eq!(seen.batches()[1..], [[3], [3]]);
}

#[test]
fn an_item_keeps_its_place_in_whatever_it_is_collected_into() {
    let batch: Batch<u32> = [1, 20, 3].into_iter().collect();
    let mut outcome = BatchOutcome::all(&batch, false);
    let large: Batch<u32> = batch.into_iter().filter(|number| **number > 10).collect();
    outcome.set(&large[0], true);
    let acked: Vec<_> = outcome
        .verdicts()
        .iter()
        .map(|verdict| verdict.is_ack())
        .collect();
    assert_eq!(acked, [false, true, false]);
}
