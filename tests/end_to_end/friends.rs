//! The example: from the topic to the friends API, and its commands on SQS.

use std::time::Instant;

use serde_json::json;
use tokio::process::Command;

use crate::{
    SECOND,
    support::{
        Ended, Service,
        aws::{Aws, Queue, unique},
        friends::FriendsApi,
        program, run,
    },
};

const FRIEND_CREATED: &str = env!("CARGO_BIN_EXE_friend_created");
const TEST_USER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../examples/friend_created/test_user.json"
);

/// The example, with the address of a friends API.
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
    assert_eq!(queue.dead_letters.depth().await, 0);
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
    assert_eq!(queue.dead_letters.bodies(1).await, [friend]);
    let ended = service.terminated().await;
    assert_eq!(ended.code, Some(0));
    assert_eq!(api.asked().len(), 2);
    let said = format!("{}/friends/1 answered 422", api.url);
    assert_eq!(ended.stderr.matches(&said).count(), 2, "{}", ended.stderr);
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
    let (name, api) = (unique("checked"), FriendsApi::answering(&[]).await);
    let check = async |queue: &str, more: &[&str]| {
        let line = [&["check", "--provider", "sqs"], more].concat();
        let mut command = friend_created(&aws, &line, &api);
        command.env("LOAFER_TOPICS__FRIEND_CREATED__NAME", &name);
        run(command.env("LOAFER_ROUTES__FRIEND_CREATED__QUEUE", queue)).await
    };
    let checked = async |queue: &str| check(queue, &[]).await;
    check(&name, &["--create"]).await;
    let sound = checked(&name).await;
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
        "error: friend_created can't start: route `friend-created`",
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
