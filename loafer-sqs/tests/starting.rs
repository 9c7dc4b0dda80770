//! What a service that can't start says, and how soon.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod support;

use std::{
    process::Command,
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use loafer_core::{
    Error,
    broker::{Broker, NoOptions, Open, Provider, Source},
};
use loafer_sqs::Sqs;

const SOON: Duration = Duration::from_secs(10);

async fn opening(sqs: &Sqs, queue: &str) -> Error {
    let provider = sqs
        .provider(&Source::new("order-made", queue), &NoOptions::default())
        .unwrap();
    let start = Instant::now();
    let error = provider.open(Open::Existing).await.unwrap_err();
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    error
}

async fn an_unknown_queue_is_reported(server: support::Server) {
    let url = format!("{}/000000000000/no-such-queue", server.endpoint);
    for queue in ["no-such-queue", &url] {
        let error = opening(&server.sqs(), queue).await;
        assert!(matches!(error, Error::UnknownQueue { .. }), "{error:?}");
        let said = error.to_string();
        for part in [
            "no-such-queue",
            "us-east-1",
            &server.endpoint,
            "LOAFER_ROUTES__ORDER_MADE__QUEUE",
        ] {
            assert!(said.contains(part), "{said}");
        }
    }
}

#[tokio::test]
async fn an_unknown_queue_is_reported_by_fauxqs() {
    an_unknown_queue_is_reported(server!(
        "LOAFER_TEST_FAUXQS",
        "an_unknown_queue_is_reported_by_fauxqs"
    ))
    .await;
}

#[tokio::test]
async fn an_unknown_queue_is_reported_by_elasticmq() {
    an_unknown_queue_is_reported(server!(
        "LOAFER_TEST_ELASTICMQ",
        "an_unknown_queue_is_reported_by_elasticmq"
    ))
    .await;
}

#[tokio::test]
async fn a_lease_that_is_rounded_up_is_reported_once() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "a_lease_that_is_rounded_up_is_reported_once"
    );
    let (log, _listening) = support::log::Log::start();
    for (lease, lines) in [(30_000, 0), (29_500, 1)] {
        let lease = Duration::from_millis(lease);
        let queue = server.queue("rounded", Some(lease)).await;
        let said = log.lines("was rounded up");
        assert_eq!(said.len(), lines, "{said:?}");
        assert!(
            said.iter()
                .all(|line| line.contains(&queue.name) && line.contains("30s"))
        );
    }
}

#[tokio::test]
async fn nothing_at_the_endpoint_is_reported() {
    // Bound and not listening for long: nothing else can take the port before the call.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let endpoint = format!("http://127.0.0.1:{port}");
    let error = opening(&Sqs::with_config(support::config(&endpoint)), "orders").await;
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    let said = error.to_string();
    assert!(
        said.contains("orders") && said.contains(&endpoint),
        "{said}"
    );
    assert!(said.len() < 200, "{said}");
}

#[tokio::test]
async fn a_server_that_is_not_aws_is_reported_with_its_status() {
    use axum::{Router, http::StatusCode};

    for (status, body) in [
        (StatusCode::OK, "<html>welcome</html>"),
        (StatusCode::NOT_FOUND, "<html>not found</html>"),
        (StatusCode::FORBIDDEN, ""),
        (StatusCode::BAD_GATEWAY, "<html>bad gateway</html>"),
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(move || async move { (status, body) });
        tokio::spawn(async move { axum::serve(listener, app).await });
        let error = opening(&Sqs::with_config(support::config(&endpoint)), "orders").await;
        let said = error.to_string();
        for part in [status.as_str(), &*endpoint, "AWS_ENDPOINT_URL", "`orders`"] {
            assert!(said.contains(part), "{said}");
        }
    }
}

#[tokio::test]
async fn an_endpoint_that_never_answers_is_reported() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let error = opening(&Sqs::with_config(support::config(&endpoint)), "orders").await;
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains(&endpoint), "{error}");
}

/// Runs `child` of this binary with these variables and no other AWS setting; gives what it printed.
fn in_a_process(variables: &[(&str, &str)]) -> String {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "child", "--ignored", "--nocapture"]);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
        child.env_remove(name);
    }
    child
        .env("HOME", "/nonexistent")
        .envs(variables.iter().copied());
    let output = child.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
#[ignore = "needs an environment of its own: the tests below run it, in a process that has it"]
async fn child() {
    println!("said: {}", opening(&Sqs::default(), "orders").await);
}

/// A metadata service that is there and never answers, as behind a firewall.
fn silent() -> (std::net::TcpListener, String) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    (listener, endpoint)
}

#[test]
fn without_region_it_says_what_to_set() {
    let (_listener, metadata) = silent();
    for instance in [
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*metadata),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ] {
        let said = in_a_process(&[instance]);
        assert!(
            said.contains("`orders`") && said.contains("set AWS_REGION"),
            "{said}"
        );
    }
}

#[test]
fn without_credentials_it_says_what_to_set() {
    let (_listener, metadata) = silent();
    for instance in [
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*metadata),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ] {
        let said = in_a_process(&[("AWS_REGION", "eu-west-1"), instance]);
        assert!(
            said.contains("`orders`") && said.contains("AWS_ACCESS_KEY_ID"),
            "{said}"
        );
    }
}

/// A proxy that refuses every call; what it was asked for.
fn proxy() -> (Receiver<String>, String) {
    use std::io::{BufRead as _, BufReader, Write as _};

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (ask, asked) = channel();
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut line = String::new();
        BufReader::new(&client).read_line(&mut line).unwrap();
        client
            .write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            .unwrap();
        ask.send(line).unwrap();
    });
    (asked, address)
}

#[test]
fn the_proxy_of_the_environment_is_called_in_place_of_aws() {
    for name in ["HTTPS_PROXY", "all_proxy"] {
        let (asked, address) = proxy();
        let said = in_a_process(&[
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", "a"),
            ("AWS_SECRET_ACCESS_KEY", "s"),
            ("AWS_ENDPOINT_URL", "https://sqs.example.invalid"),
            ("AWS_MAX_ATTEMPTS", "1"),
            (name, &address),
        ]);
        assert!(said.contains("`orders`"), "{said}");
        let asked = asked.recv_timeout(SOON).unwrap();
        assert!(
            asked.starts_with("CONNECT sqs.example.invalid:443"),
            "{asked}"
        );
    }
}

#[test]
fn a_local_server_is_called_without_the_proxy() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", server.local_addr().unwrap());
    let (call, called) = channel();
    std::thread::spawn(move || call.send(server.accept().is_ok()));
    let said = in_a_process(&[
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "a"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
        ("AWS_ENDPOINT_URL", &endpoint),
        ("AWS_MAX_ATTEMPTS", "1"),
        ("HTTP_PROXY", "http://proxy.example.invalid:1"),
    ]);
    assert_eq!(called.recv_timeout(SOON), Ok(true), "{said}");
}
