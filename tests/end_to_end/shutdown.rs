//! What SIGTERM costs.

use std::time::Instant;

use serde_json::json;

use crate::{
    SECOND, count, scripted_on,
    support::{Ended, aws::unique},
};

#[tokio::test]
async fn at_sigterm_what_runs_is_finished_and_acked() {
    let aws = aws!("at_sigterm_what_runs_is_finished_and_acked");
    // A lease shorter than what follows: nothing comes back after it, either.
    let queue = aws.queue(&unique("drained"), 3 * SECOND, 10).await;
    let service = scripted_on(&aws, "scripted", &queue, &[("CONCURRENCY", "50")]).await;
    queue
        .send_all((0..50).map(|id| json!({ "id": id, "sleep_ms": 2000 }).to_string()))
        .await;

    service
        .stdout
        .wait_until("start of fifty", |text| count(text, "started") == 50)
        .await;
    let asked = Instant::now();
    let Ended {
        code,
        stdout,
        stderr,
    } = service.terminated().await;
    assert!(asked.elapsed() < 5 * SECOND, "{:?}", asked.elapsed());
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(
        (count(&stdout, "started"), count(&stdout, "finished")),
        (50, 50)
    );
    assert_eq!(queue.depth().await, (0, 0));
    assert_eq!(queue.dead_letters.depth().await, 0);
}

#[tokio::test]
async fn at_sigterm_what_has_not_started_is_there_for_others_at_once() {
    let aws = aws!("at_sigterm_what_has_not_started_is_there_for_others_at_once");
    let queue = aws.queue(&unique("released"), 600 * SECOND, 10).await;
    let service = scripted_on(&aws, "scripted", &queue, &[("CONCURRENCY", "5")]).await;
    queue
        .send_all((0..30).map(|id| json!({ "id": id, "sleep_ms": 2000 }).to_string()))
        .await;

    service
        .stdout
        .wait_until("start of five", |text| count(text, "started") == 5)
        .await;
    let Ended {
        code,
        stdout,
        stderr,
    } = service.terminated().await;
    assert_eq!(code, Some(0), "{stderr}");
    let started = count(&stdout, "started");
    assert_eq!(started, count(&stdout, "finished"), "{stdout}");
    assert_eq!(queue.depth().await, (30 - started, 0));
}
