//! A service as its operator meets it: commands, signals, stdin, and what it says where it can't start.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod support;

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use support::{Ended, Service, friends::FriendsApi, program, run};
use tokio::process::Command;

const FRIEND_CREATED: &str = env!("CARGO_BIN_EXE_friend_created");
const SCRIPTED: &str = env!("CARGO_BIN_EXE_scripted");

/// Within this a service says why it can't start.
const SOON: Duration = Duration::from_secs(15);

#[tokio::test]
async fn without_anything_around_it_the_example_shows_its_patch_and_its_ack() {
    for signal in ["TERM", "INT"] {
        let service = Service::spawn(&mut program(FRIEND_CREATED, &[]));
        service.stdout.wait_for("listening").await;
        let asked = Instant::now();
        service.signal(signal).await;
        let Ended {
            code,
            stdout,
            stderr,
        } = service.ended().await;
        assert_eq!(code, Some(0), "{stderr}");
        assert!(
            asked.elapsed() < Duration::from_secs(1),
            "{signal} took {:?}",
            asked.elapsed()
        );
        let patch = r#"PATCH /friends/test-1 {"github_url":"https://github.com/georgeyk"}"#;
        let (before, after) = stdout.split_once(patch).unwrap();
        assert!(before.contains("GET /users/georgeyk"), "{stdout}");
        assert!(after.contains("\nacked "), "{stdout}");
        assert!(
            stderr.contains(&format!("stopping: SIG{signal}")),
            "{stderr}"
        );
    }
}

#[tokio::test]
async fn with_only_the_friends_api_it_needs_no_other() {
    let api = FriendsApi::answering(&[]).await;
    let service = Service::spawn(program(FRIEND_CREATED, &[]).env("FRIENDS_API_URL", &api.url));
    let stdout = service.stdout.wait_for("acked ").await;
    assert!(!stdout.contains("friends API on"), "{stdout}");
    assert_eq!(service.terminated().await.code, Some(0));
    assert_eq!(
        api.asked(),
        [r#"PATCH /friends/test-1 {"github_url":"https://github.com/georgeyk"}"#]
    );
}

#[tokio::test]
async fn lines_of_stdin_are_messages_and_their_end_ends_it() {
    let api = FriendsApi::answering(&[]).await;
    let mut command = program(FRIEND_CREATED, &["--provider", "memory"]);
    let mut service = Service::spawn(command.env("FRIENDS_API_URL", &api.url));
    let lines = [
        r#"friend-created {"id": "1", "username": "ana", "github_url": ""}"#,
        "",
        r#"friend-created {"id": "2", "username": "bob", "github_url": "https://github.com/bob"}"#,
        r#"friend-created {"Type": "Notification", "TopicArn": "arn:aws:sns:local:0:friend-created", "Message": "{\"id\": \"3\", \"username\": \"eve\"}"}"#,
    ];
    service.feed(&lines.join("\n")).await;
    let ended = service.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let mut asked = api.asked();
    asked.sort();
    let patch =
        |id, name| format!(r#"PATCH /friends/{id} {{"github_url":"https://github.com/{name}"}}"#);
    assert_eq!(asked, [patch(1, "ana"), patch(3, "eve")]);
}

#[tokio::test]
async fn an_end_of_stdin_without_lines_leaves_it_running() {
    let mut service = Service::spawn(&mut program(SCRIPTED, &["--provider", "memory"]));
    service.feed("").await;
    service.stderr.wait_for("running").await;
    let ended = service.terminated().await;
    assert_eq!(ended.code, Some(0));
    assert!(
        ended.stderr.contains("stopping: SIGTERM"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn routes_are_listed_as_they_would_run() {
    let listed = run(&mut program(FRIEND_CREATED, &["routes"])).await;
    assert_eq!((listed.code, listed.stderr.as_str()), (Some(0), ""));
    let [head, row] = listed.stdout.lines().collect::<Vec<_>>()[..] else {
        panic!("{}", listed.stdout)
    };
    for (column, value) in [
        ("ROUTE", "friend-created"),
        ("QUEUE", "foobar-friend-created"),
        ("PROVIDER", "memory"),
        ("TRANSLATOR", "Sns"),
        ("CONCURRENCY", "10"),
        ("HANDLER", "friend_created::friend_created"),
    ] {
        let at = head.find(column).unwrap();
        assert!(
            row[at..].starts_with(value),
            "{column} in\n{}",
            listed.stdout
        );
    }
    assert!(row.contains("friend_created/main.rs:"), "{row}");

    let mut command = program(FRIEND_CREATED, &["routes", "--provider", "sqs"]);
    command.env("LOAFER_ROUTES__FRIEND_CREATED__QUEUE", "elsewhere");
    let row = run(command.env("LOAFER_ROUTES__FRIEND_CREATED__CONCURRENCY", "7"))
        .await
        .stdout;
    let cells: Vec<&str> = row.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(
        cells[..5],
        ["friend-created", "elsewhere", "sqs", "Sns", "7"]
    );
}

#[tokio::test]
async fn help_tells_what_it_can() {
    let helped = run(&mut program(FRIEND_CREATED, &["--help"])).await;
    assert_eq!(helped.code, Some(0));
    for part in [
        "run",
        "routes",
        "check",
        "publish",
        "--provider",
        "memory",
        "sqs",
        "--only",
        "--drain",
        "--once",
    ] {
        assert!(helped.stdout.contains(part), "{part} in\n{}", helped.stdout);
    }
}

#[tokio::test]
async fn check_is_content_with_memory() {
    let checked = run(&mut program(FRIEND_CREATED, &["check"])).await;
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    assert!(
        checked.stdout.contains("foobar-friend-created"),
        "{}",
        checked.stdout
    );
}

/// Runs a service that can't start: one message that begins so and names these, soon, and exit code 1.
async fn cannot_start(command: &mut Command, names: &[&str]) {
    let asked = Instant::now();
    let Ended {
        code,
        stdout,
        stderr,
    } = run(command).await;
    assert!(asked.elapsed() < SOON, "{:?}: {stderr}", asked.elapsed());
    assert_eq!(code, Some(1), "{stderr}");
    assert_eq!(stdout, "");
    assert!(
        stderr.starts_with("error: ") && stderr.contains(" can't start: "),
        "{stderr}"
    );
    assert_eq!(stderr.matches("error: ").count(), 1, "{stderr}");
    for name in names {
        assert!(stderr.contains(name), "{name} in\n{stderr}");
    }
    assert!(!stderr.contains("panicked"), "{stderr}");
}

fn without_a_broker(path: &str) -> Command {
    program(path, &["--provider", "memory"])
}

#[tokio::test]
async fn a_service_without_handlers_says_how_to_have_one() {
    let names = [
        "no handlers",
        "#[handler(route = ",
        "handlers = [my_service]",
    ];
    cannot_start(
        &mut without_a_broker(env!("CARGO_BIN_EXE_no_handlers")),
        &names,
    )
    .await;
}

#[tokio::test]
async fn two_handlers_on_one_route_are_named_with_their_places() {
    let names = [
        "`friend-created`",
        "two_handlers::greet",
        "two_handlers::count",
        "two_handlers.rs:5",
        "two_handlers.rs:10",
    ];
    cannot_start(
        &mut without_a_broker(env!("CARGO_BIN_EXE_two_handlers")),
        &names,
    )
    .await;
}

#[tokio::test]
async fn missing_state_is_reported_with_handler_route_and_type() {
    let names = [
        "order_placed",
        "`order-placed`",
        "Prices",
        "app.state(value)",
    ];
    cannot_start(
        &mut without_a_broker(env!("CARGO_BIN_EXE_missing_state")),
        &names,
    )
    .await;
}

#[tokio::test]
async fn an_unknown_key_of_the_environment_is_reported_with_the_nearest() {
    let mut command = without_a_broker(SCRIPTED);
    let names = [
        "LOAFER_ROUTES__SCRIPTED__CONCURENCY",
        "did you mean `CONCURRENCY`?",
    ];
    cannot_start(
        command.env("LOAFER_ROUTES__SCRIPTED__CONCURENCY", "5"),
        &names,
    )
    .await;
}

/// On SQS, with one route and a metadata service that never answers, as behind a firewall.
fn on_sqs(metadata: &TcpListener) -> Command {
    let mut command = program(SCRIPTED, &["--only", "scripted"]);
    let url = format!("http://{}", metadata.local_addr().unwrap());
    command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", url);
    command
}

fn silent() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

#[tokio::test]
async fn without_region_it_says_what_to_set() {
    let metadata = silent();
    cannot_start(&mut on_sqs(&metadata), &["`scripted`", "set AWS_REGION"]).await;
}

#[tokio::test]
async fn without_credentials_it_says_what_to_set() {
    let metadata = silent();
    let mut command = on_sqs(&metadata);
    let names = ["`scripted`", "AWS_ACCESS_KEY_ID"];
    cannot_start(command.env("AWS_REGION", "eu-west-1"), &names).await;
}

#[tokio::test]
async fn an_endpoint_where_nobody_listens_is_reported() {
    let metadata = silent();
    let [port] = loafer_test_servers::Ports::take().numbers();
    let endpoint = format!("http://127.0.0.1:{port}");
    let mut command = on_sqs(&metadata);
    command.envs([
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
    ]);
    cannot_start(&mut command, &["`scripted`", endpoint.as_str()]).await;
}
