//! What `check` finds on real servers, and what it makes there.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod published;
#[path = "../support/mod.rs"]
mod support;
mod topics;

use aws_sdk_sqs::types::QueueAttributeName as Name;
use loafer_core::{
    broker::{Finding, Level, Open},
    message::{Message, MessageId},
    policy::GroupBy,
    translate::Json,
};
use loafer_runtime::program::{App, Manager, Route, RouteOptions};
use loafer_sqs::Sqs;
use support::Server;

/// What `check` says of one route on this server; its queue is named as the route is, unless the options say otherwise.
async fn checked(server: &Server, route: Route, mode: Open) -> Vec<Finding> {
    let app = App::new().broker(server.sqs());
    let manager = Manager::builder().app(app).route(route.provider::<Sqs>());
    let manager = manager.open(mode).build().unwrap();
    manager.check().await.remove(0).1
}

fn unique(name: &str) -> String {
    format!("{name}-{}", MessageId::new())
}

fn plain(name: &str) -> Route {
    Route::new(name.to_owned()).handler(Json, async |_: u64| true)
}

fn texts(findings: &[Finding], level: Level) -> Vec<&str> {
    let of_level = findings.iter().filter(|finding| finding.level == level);
    of_level.map(|finding| finding.text.as_str()).collect()
}

async fn what_is_missing_is_made_once(server: Server) {
    let name = unique("made");
    let findings = checked(&server, plain(&name), Open::Create).await;
    assert!(texts(&findings, Level::Problem).is_empty(), "{findings:?}");
    assert!(texts(&findings, Level::Warning).is_empty(), "{findings:?}");
    let good = texts(&findings, Level::Good);
    let dead_letters = format!("made the dead-letter queue `{name}-dlq`");
    assert!(good.contains(&&*dead_letters), "{good:?}");
    assert!(good.contains(&&*format!("made queue `{name}`")), "{good:?}");
    let redrive = format!("dead letters go to `{name}-dlq` after 10 receives");
    assert!(good.contains(&&*redrive), "{good:?}");

    let again = checked(&server, plain(&name), Open::Create).await;
    let made = |finding: &Finding| finding.text.starts_with("made ");
    assert!(!again.iter().any(made), "{again:?}");
}

async fn a_dead_letter_queue_that_is_gone_is_a_problem_and_is_made(server: Server) {
    let queue = server.queue("gone", None).await;
    let dead_letters = format!("{}-dlq", queue.url);
    let delete = queue.client.delete_queue().queue_url(dead_letters);
    delete.send().await.unwrap();
    let findings = checked(&server, plain(&queue.name), Open::Existing).await;
    let problems = texts(&findings, Level::Problem);
    let gone = format!("the dead-letter queue `{}-dlq` does not exist", queue.name);
    assert!(problems[0].starts_with(&gone), "{findings:?}");
    let line = format!("--queue-name {}-dlq --attributes", queue.name);
    assert!(problems[0].contains(&line), "{findings:?}");

    let made = checked(&server, plain(&queue.name), Open::Create).await;
    assert!(texts(&made, Level::Problem).is_empty(), "{made:?}");
    assert!(
        made[0].text.starts_with("made the dead-letter queue"),
        "{made:?}"
    );
}

async fn what_is_there_is_reported_and_not_touched(server: Server) {
    let queue = server.queue("touched", None).await;
    let policy = queue
        .attribute(&queue.url, Name::RedrivePolicy)
        .await
        .unwrap();
    let few = policy.replace(":10", ":3");
    queue.set(Name::RedrivePolicy, &few).await;
    queue.set(Name::VisibilityTimeout, "20").await;
    let findings = checked(&server, plain(&queue.name), Open::Create).await;
    let warnings = texts(&findings, Level::Warning);
    assert!(warnings[0].contains("drain of 25s"), "{findings:?}");
    let line = format!(
        "{}' --attributes '{{\"VisibilityTimeout\":\"30\"}}'",
        queue.name
    );
    assert!(warnings[0].contains(&line), "{findings:?}");
    assert!(warnings[1].contains("after 3 deliveries"), "{findings:?}");
    assert!(
        findings
            .iter()
            .any(|finding| finding.text.contains("maxReceiveCount"))
    );
    let after = queue.attribute(&queue.url, Name::RedrivePolicy).await;
    assert_eq!(after.as_deref(), Some(&*few));
}

async fn of_dead_letters_only_the_missing_half_is_reported(server: Server) {
    let queue = server.queue("half", None).await;
    // A queue without dead letters.
    let name = format!("{}-dlq", queue.name);
    let set = format!("/{name}' --attributes '{{\"RedrivePolicy\"");
    let warning = async || {
        let findings = checked(&server, plain(&name), Open::Existing).await;
        let warnings = texts(&findings, Level::Warning);
        assert!(warnings[0].contains(&set), "{findings:?}");
        warnings[0].to_owned()
    };
    assert!(warning().await.contains("create-queue"));
    let make = queue.client.create_queue();
    let make = make.queue_name(format!("{name}-dlq"));
    make.send().await.unwrap();
    assert!(!warning().await.contains("create-queue"));
}

async fn on_fifo_group_by_is_left_unread(server: Server) {
    let name = format!("{}.fifo", unique("ordered"));
    let options = RouteOptions::new().group_by(GroupBy::GROUP);
    let options = options.max_attempts(5);
    let findings = checked(&server, plain(&name).options(options), Open::Create).await;
    let warnings = texts(&findings, Level::Warning);
    assert_eq!(warnings.len(), 1, "{findings:?}");
    assert!(
        warnings[0].contains("`group_by` is left unread"),
        "{findings:?}"
    );
}

on_both! {
    what_is_missing_is_made_once
    a_dead_letter_queue_that_is_gone_is_a_problem_and_is_made
    what_is_there_is_reported_and_not_touched
    of_dead_letters_only_the_missing_half_is_reported
    on_fifo_group_by_is_left_unread
}

#[tokio::test]
async fn what_waits_among_the_dead_letters_is_reported() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "what_waits_among_the_dead_letters_is_reported"
    );
    let queue = server.queue("waits", None).await;
    let dead_letters = format!("sqs:{}-dlq", queue.name);
    support::publish(
        &queue.publisher,
        &dead_letters,
        vec![Message::new("x").into()],
    )
    .await;
    let findings = checked(&server, plain(&queue.name), Open::Existing).await;
    let said = |finding: &Finding| {
        finding
            .text
            .ends_with("about 1 are there: `dead-letters` lists them")
    };
    assert!(findings.iter().any(said), "{findings:?}");
}

/// ElasticMQ keeps no retention.
#[tokio::test]
async fn dead_letters_kept_no_longer_than_their_source_are_reported() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "dead_letters_kept_no_longer_than_their_source_are_reported"
    );
    let queue = server.queue("kept", None).await;
    queue.set(Name::MessageRetentionPeriod, "1209600").await;
    let all = checked(&server, plain(&queue.name), Open::Existing).await;
    assert!(
        texts(&all, Level::Warning).is_empty(),
        "both at the most: {all:?}"
    );
    let dead_letters = format!("{}-dlq", queue.url);
    let set = queue.client.set_queue_attributes().queue_url(&dead_letters);
    let set = set.attributes(Name::MessageRetentionPeriod, "3600");
    set.send().await.unwrap();
    let all = checked(&server, plain(&queue.name), Open::Existing).await;
    let warnings = texts(&all, Level::Warning);
    assert!(
        warnings[0].contains("keeps messages for 3600 s and its source for 14 d"),
        "{all:?}"
    );
}

/// Knows one queue, and denies all else.
async fn denying() -> Server {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let url = format!("{endpoint}/1/orders");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let url = url.clone();
            tokio::spawn(async move {
                let (mut request, mut buffer) = (String::new(), [0; 4096]);
                while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                    request.push_str(&String::from_utf8_lossy(&buffer[..read]));
                    // Every body is one object.
                    if !request.ends_with('}') {
                        continue;
                    }
                    let known = request.contains("AmazonSQS.GetQueueUrl");
                    request.clear();
                    let (status, body) = if known {
                        ("200 OK", format!(r#"{{"QueueUrl":"{url}"}}"#))
                    } else {
                        let denied = r#"{"__type":"com.amazonaws.sqs#AccessDeniedException","message":"no"}"#;
                        ("403 Forbidden", denied.to_owned())
                    };
                    let answer = format!(
                        "HTTP/1.1 {status}\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    Server { endpoint }
}

#[tokio::test]
async fn every_right_that_is_denied_is_named() {
    let server = denying().await;
    let findings = checked(&server, plain("orders"), Open::Existing).await;
    let problems = texts(&findings, Level::Problem);
    for (problem, action) in problems
        .iter()
        .zip(["DeleteMessage", "ChangeMessageVisibility"])
    {
        assert!(
            problem.starts_with(&format!("sqs:{action} is denied")),
            "{findings:?}"
        );
        let allow = format!("allow sqs:{action} on {}/1/orders", server.endpoint);
        assert!(problem.ends_with(&allow), "{findings:?}");
    }
    assert_eq!(problems.len(), 2, "{findings:?}");
    let warnings = texts(&findings, Level::Warning);
    assert!(
        warnings[0].contains("allow sqs:GetQueueAttributes on"),
        "{findings:?}"
    );
}

#[tokio::test]
async fn the_rights_of_a_route_are_a_policy_of_iam() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "the_rights_of_a_route_are_a_policy_of_iam"
    );
    let queue = server.queue("rights", None).await;
    let app = App::new().broker(server.sqs());
    let route = plain(&queue.name)
        .provider::<Sqs>()
        .publishes(["made", "sqs:audit"]);
    let manager = Manager::builder().app(app).route(route).build().unwrap();
    let rights = manager.rights().await;
    let statements = rights[&queue.name]["Statement"].as_array().unwrap();
    let arn = format!("arn:aws:sqs:us-east-1:000000000000:{}", queue.name);
    let of = |arn: &str| {
        let mut statements = statements.iter();
        let statement = statements.find(|statement| statement["Resource"] == arn);
        statement.unwrap()["Action"].to_string()
    };
    assert!(of(&arn).contains("sqs:DeleteMessage"));
    assert!(of(&format!("{arn}-dlq")).contains("sqs:SendMessage"));
    let topics = rights["topics"].to_string();
    for arn in [
        "arn:aws:sns:us-east-1:*:made",
        "arn:aws:sqs:us-east-1:*:audit",
    ] {
        assert!(topics.contains(arn), "{topics}");
    }
}
