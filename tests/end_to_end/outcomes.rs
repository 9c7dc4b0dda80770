//! What becomes of messages: done once, or back after their lease and given up.

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;

use crate::{
    SECOND, count, scripted_on,
    support::{Ended, aws::unique},
};

/// The attempts of each script that was started, with their milliseconds.
fn starts(stdout: &str) -> BTreeMap<u32, Vec<(u32, u64)>> {
    let mut starts: BTreeMap<u32, Vec<_>> = BTreeMap::new();
    for line in stdout.lines() {
        if let ["started", id, "attempt", attempt, "at", at] =
            line.split(' ').collect::<Vec<_>>()[..]
        {
            starts
                .entry(id.parse().unwrap())
                .or_default()
                .push((attempt.parse().unwrap(), at.parse().unwrap()));
        }
    }
    starts
}

#[tokio::test]
async fn what_is_not_done_comes_back_and_is_given_up_at_no_cost_to_its_neighbours() {
    let aws = aws!("what_is_not_done_comes_back_and_is_given_up_at_no_cost_to_its_neighbours");
    let lease = 2 * SECOND;
    let queue = aws.queue(&unique("poisoned"), lease, 2).await;
    let undecodable = json!({ "id": "a-secret" }).to_string();
    let poisoned = [
        json!({ "id": 1, "then": "decline" }).to_string(),
        json!({ "id": 2, "then": "fail" }).to_string(),
        json!({ "id": 3, "then": "panic" }).to_string(),
        json!({ "id": 4, "sleep_ms": 60_000 }).to_string(),
        undecodable,
    ];
    let sound = |id: u32| json!({ "id": id }).to_string();
    // Each among its neighbours: they share receives.
    let bodies = poisoned
        .iter()
        .cloned()
        .zip(1..)
        .flat_map(|(body, n)| [sound(10 * n), body, sound(10 * n + 1)]);
    queue.send_all(bodies).await;
    let service = scripted_on(&aws, "scripted", &queue, &[("TIMEOUT", "500ms")]).await;

    let mut dead = queue.dead_letters.bodies(5).await;
    dead.sort();
    let mut expected = poisoned.to_vec();
    expected.sort();
    assert_eq!(dead, expected);
    queue.emptied().await;
    // It lives, and handles on.
    queue.send(sound(99)).await;
    service.stdout.wait_for("finished 99").await;

    let Ended {
        code,
        stdout,
        stderr,
    } = service.terminated().await;
    assert_eq!(code, Some(0), "{stderr}");
    for (id, attempts) in starts(&stdout) {
        match attempts[..] {
            [(1, first), (2, second)] if id < 10 => {
                let apart = Duration::from_millis(second - first);
                assert!(
                    apart + SECOND / 10 >= lease,
                    "script {id} came back after {apart:?}"
                );
            }
            [(1, _)] if id >= 10 => {}
            _ => panic!("script {id} was started at {attempts:?}"),
        }
    }
    assert_eq!(starts(&stdout).len(), 4 + 10 + 1);
    for kind in ["error", "panic", "timeout", "undecodable"] {
        let said: Vec<&str> = stderr
            .lines()
            .filter(|line| line.contains(&format!("kind=\"{kind}\"")))
            .collect();
        let [first, second] = said[..] else {
            panic!("{kind} is said {} times:\n{stderr}", said.len())
        };
        for (line, attempt) in [(first, "attempt=1"), (second, "attempt=2")] {
            assert!(
                line.contains("message_id=") && line.contains(attempt),
                "{line}"
            );
        }
    }
    assert!(!stderr.contains("a-secret"), "{stderr}");
}

#[tokio::test]
async fn of_a_thousand_messages_none_is_lost_and_none_comes_twice() {
    let aws = aws!("of_a_thousand_messages_none_is_lost_and_none_comes_twice");
    let queue = aws.queue(&unique("thousand"), 30 * SECOND, 10).await;
    let service = scripted_on(&aws, "scripted", &queue, &[("CONCURRENCY", "50")]).await;
    queue
        .send_all((0..1000).map(|id| json!({ "id": id }).to_string()))
        .await;

    service
        .stdout
        .wait_until("end of a thousand", |text| count(text, "finished") >= 1000)
        .await;
    queue.emptied().await;
    let Ended {
        code,
        stdout,
        stderr,
    } = service.terminated().await;
    assert_eq!(code, Some(0), "{stderr}");
    let starts = starts(&stdout);
    assert_eq!(
        starts.keys().copied().collect::<Vec<_>>(),
        (0..1000).collect::<Vec<_>>()
    );
    for (id, attempts) in starts {
        assert!(
            matches!(attempts[..], [(1, _)]),
            "script {id} was started at {attempts:?}"
        );
    }
    assert_eq!(queue.dead_letters.depth().await, 0);
}
