//! Services on SQS and SNS, as processes: what arrives, what comes back, what is given up, and what an end costs.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod support;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::json;
use support::{
    Ended, Service,
    aws::{self, Aws, Queue, unique},
    friends::FriendsApi,
    program, run,
};
use tokio::process::Command;

const FRIEND_CREATED: &str = env!("CARGO_BIN_EXE_friend_created");
const TEST_USER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../examples/friend_created/test_user.json"
);

const SECOND: Duration = Duration::from_secs(1);

/// The local server, or the end of the test that calls.
macro_rules! aws {
    ($test:literal) => {
        match aws::server($test) {
            Some(aws) => aws,
            None => return,
        }
    };
}

/// The example, told of a friends API.
fn friend_created(aws: &Aws, arguments: &[&str], api: &FriendsApi) -> Command {
    let mut command = program(FRIEND_CREATED, arguments);
    aws.tell(&mut command).env("FRIENDS_API_URL", &api.url);
    command
}

/// The example on a queue of this test's own.
async fn friend_created_on(aws: &Aws, queue: &Queue, api: &FriendsApi) -> Service {
    let mut command = friend_created(aws, &["--provider", "sqs"], api);
    let service = Service::spawn(command.env("LOAFER_ROUTES__FRIEND_CREATED__QUEUE", &queue.name));
    service.stderr.wait_for("running").await;
    service
}

/// One route of the scripted service, on a queue of this test's own, with these options.
async fn scripted_on(aws: &Aws, route: &str, queue: &Queue, options: &[(&str, &str)]) -> Service {
    let mut command = program(env!("CARGO_BIN_EXE_scripted"), &["--only", route]);
    aws.tell(&mut command);
    for (key, value) in [("QUEUE", queue.name.as_str())].iter().chain(options) {
        command.env(
            format!("LOAFER_ROUTES__{}__{key}", route.to_uppercase()),
            value,
        );
    }
    let service = Service::spawn(&mut command);
    service.stderr.wait_for("running").await;
    service
}

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

fn count(text: &str, start: &str) -> usize {
    text.lines().filter(|line| line.starts_with(start)).count()
}

#[tokio::test]
async fn a_friend_published_to_the_topic_is_patched_and_acked() {
    let aws = aws!("a_friend_published_to_the_topic_is_patched_and_acked");
    // The names of the attribute and its documentation: nothing is configured. The lease is short, since a service that was stopped a
    // moment ago may have left a receive at the server, which takes the message.
    let queue = aws.queue("foobar-friend-created", 2 * SECOND, 10).await;
    let topic = aws.topic("friend-created", &queue).await;
    let api = FriendsApi::answering(&[]).await;
    let service = Service::spawn(&mut friend_created(&aws, &["--provider", "sqs"], &api));

    let user = std::fs::read_to_string(TEST_USER).unwrap();
    aws.publish(&topic, &user).await;
    let asked = api.asked_times(1).await;
    assert_eq!(
        asked,
        [r#"PATCH /friends/test-1 {"github_url":"https://github.com/georgeyk"}"#]
    );
    queue.emptied().await;
    let ended = service.terminated().await;
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(0), ""),
        "{}",
        ended.stderr
    );
    assert_eq!(api.asked().len(), 1);
}

#[tokio::test]
async fn a_friends_api_in_trouble_is_asked_again_after_the_visibility_timeout() {
    let aws = aws!("a_friends_api_in_trouble_is_asked_again_after_the_visibility_timeout");
    let queue = aws.queue(&unique("friends-503"), 2 * SECOND, 10).await;
    let api = FriendsApi::answering(&[503]).await;
    let service = friend_created_on(&aws, &queue, &api).await;

    queue
        .send(json!({ "id": "1", "username": "ana" }).to_string())
        .await;
    let first = api.asked_times(1).await;
    let asked = Instant::now();
    let both = api.asked_times(2).await;
    assert!(asked.elapsed() > SECOND, "{:?}", asked.elapsed());
    assert_eq!(both[1], first[0]);
    queue.emptied().await;
    assert_eq!(queue.letters.depth().await, 0);
    assert_eq!(service.terminated().await.code, Some(0));
}

#[tokio::test]
async fn what_the_friends_api_refuses_is_told_and_ends_among_the_dead_letters() {
    let aws = aws!("what_the_friends_api_refuses_is_told_and_ends_among_the_dead_letters");
    let queue = aws.queue(&unique("friends-422"), SECOND, 2).await;
    let api = FriendsApi::answering(&[422, 422]).await;
    let service = friend_created_on(&aws, &queue, &api).await;

    let friend = json!({ "id": "1", "username": "ana" }).to_string();
    queue.send(&friend).await;
    assert_eq!(queue.letters.bodies(1).await, [friend]);
    let ended = service.terminated().await;
    assert_eq!(ended.code, Some(0));
    assert_eq!(api.asked().len(), 2);
    let told = format!("{}/friends/1 answered 422", api.url);
    assert_eq!(ended.stderr.matches(&told).count(), 2, "{}", ended.stderr);
}

#[tokio::test]
async fn a_published_file_arrives_as_it_is() {
    let aws = aws!("a_published_file_arrives_as_it_is");
    let queue = aws.queue(&unique("published"), 30 * SECOND, 10).await;
    let api = FriendsApi::answering(&[]).await;
    let line = [
        "publish",
        "friend-created",
        "--file",
        TEST_USER,
        "--provider",
        "sqs",
    ];
    let mut command = friend_created(&aws, &line, &api);
    let Ended {
        code,
        stdout,
        stderr,
    } = run(command.env("LOAFER_ROUTES__FRIEND_CREATED__QUEUE", &queue.name)).await;
    assert_eq!(
        (code, stdout.lines().count()),
        (Some(0), 1),
        "{stdout}{stderr}"
    );
    assert_eq!(
        queue.peek().await,
        std::fs::read_to_string(TEST_USER).unwrap()
    );
}

#[tokio::test]
async fn check_tells_a_sound_queue_from_one_that_is_not_there() {
    let aws = aws!("check_tells_a_sound_queue_from_one_that_is_not_there");
    let queue = aws.queue(&unique("checked"), 30 * SECOND, 10).await;
    let api = FriendsApi::answering(&[]).await;
    let checked = async |queue: &str| {
        let mut command = friend_created(&aws, &["check", "--provider", "sqs"], &api);
        run(command.env("LOAFER_ROUTES__FRIEND_CREATED__QUEUE", queue)).await
    };
    let sound = checked(&queue.name).await;
    assert_eq!(sound.code, Some(0), "{}{}", sound.stdout, sound.stderr);
    assert!(
        sound.stdout.contains("0 problems, 0 warnings"),
        "{}",
        sound.stdout
    );
    let missing = checked("nowhere").await;
    assert_eq!(
        missing.code,
        Some(1),
        "{}{}",
        missing.stdout,
        missing.stderr
    );
    assert!(
        missing.stdout.contains("nowhere") && missing.stdout.contains("1 problem"),
        "{}",
        missing.stdout
    );
}

#[tokio::test]
async fn an_unknown_queue_stops_the_start_with_its_name_and_a_remedy() {
    let aws = aws!("an_unknown_queue_stops_the_start_with_its_name_and_a_remedy");
    let api = FriendsApi::answering(&[]).await;
    let mut command = friend_created(&aws, &["--provider", "sqs"], &api);
    let asked = Instant::now();
    let ended = run(command.env("LOAFER_ROUTES__FRIEND_CREATED__QUEUE", "nowhere")).await;
    assert!(asked.elapsed() < 15 * SECOND, "{:?}", asked.elapsed());
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    for part in [
        "error: loafer-tests can't start: route `friend-created`",
        "`nowhere`",
        "us-east-1",
        "LOAFER_ROUTES__FRIEND_CREATED__QUEUE",
    ] {
        assert!(ended.stderr.contains(part), "{part} in\n{}", ended.stderr);
    }
    assert_eq!(
        ended.stderr.matches("error: ").count(),
        1,
        "{}",
        ended.stderr
    );
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

    let mut dead = queue.letters.bodies(5).await;
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
        let told: Vec<&str> = stderr
            .lines()
            .filter(|line| line.contains(&format!("kind=\"{kind}\"")))
            .collect();
        let [first, second] = told[..] else {
            panic!("{kind} is told {} times:\n{stderr}", told.len())
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
    assert_eq!(queue.letters.depth().await, 0);
}

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
    assert_eq!(queue.letters.depth().await, 0);
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

#[tokio::test]
async fn every_body_has_a_clear_outcome() {
    let aws = aws!("every_body_has_a_clear_outcome");
    let queue = aws.queue(&unique("bodies"), SECOND, 2).await;
    let service = scripted_on(&aws, "anything", &queue, &[]).await;

    // Falsy, but messages like any other; and the largest there is.
    let largest = format!("\"{}\"", "x".repeat((1 << 20) - 2));
    let nested = format!("{}{}", "[".repeat(100), "]".repeat(100));
    for body in ["{}", "[]", "0", "false", "\"\"", "null", &nested, &largest] {
        queue.send(body).await;
    }
    let of_topic = json!({ "Type": "Notification", "TopicArn": "arn:aws:sns:local:0:greeted", "Message": "[1, 2]" });
    queue.send(of_topic.to_string()).await;
    service
        .stdout
        .wait_until("nine outcomes", |text| text.lines().count() == 9)
        .await;
    queue.emptied().await;

    // Of none of these is anything said but where it is wrong.
    let no_message = json!({ "Type": "Notification", "TopicArn": "arn:aws:sns:local:0:greeted", "Subject": "s3cret" }).to_string();
    let too_deep = format!("{}\"s3cret\"{}", "[".repeat(10_000), "]".repeat(10_000));
    let wrong = [
        no_message,
        no_message_text(),
        too_deep,
        "s3cret".to_owned(),
        "{\"s3cret\": ".to_owned(),
    ];
    queue.send_all(wrong.iter().cloned()).await;
    let mut dead = queue.letters.bodies(wrong.len()).await;
    dead.sort();
    let mut expected = wrong.to_vec();
    expected.sort();
    assert_eq!(dead, expected);

    let Ended {
        code,
        stdout,
        stderr,
    } = service.terminated().await;
    assert_eq!((code, stdout.lines().count()), (Some(0), 9), "{stderr}");
    for line in [
        "2 bytes, topic None: {}",
        "2 bytes, topic None: []",
        "1 bytes, topic None: 0",
        "5 bytes, topic None: false",
        "2 bytes, topic None: \"\"",
        "4 bytes, topic None: null",
        "200 bytes, topic None: [[[[",
        "1048576 bytes, topic None: \"xxxx",
        "5 bytes, topic Some(\"greeted\"): [1,2]",
    ] {
        assert!(
            stdout.lines().any(|told| told.starts_with(line)),
            "{line} in\n{stdout}"
        );
    }
    assert_eq!(
        stderr.matches("kind=\"undecodable\"").count(),
        2 * wrong.len(),
        "{stderr}"
    );
    assert!(
        !stderr.contains("s3cret") && !stderr.contains("panicked"),
        "{stderr}"
    );
}

/// An envelope whose `Message` is no text.
fn no_message_text() -> String {
    json!({ "Type": "Notification", "TopicArn": "arn:aws:sns:local:0:greeted", "Message": { "name": "s3cret" } }).to_string()
}
