//! What the configuration says of an instance, over what code and the environment of the SDK say.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod support;

use std::{net::TcpListener, process::Command, time::Duration};

use loafer_core::{
    Error,
    broker::{
        Broker as _, Instance, NoOptions, Open, Provider as _, Replies as _, Settings, Source,
    },
};
use loafer_sqs::{S3Payloads, Sqs};

/// This broker, configured as the instance of this name.
fn configured(mut sqs: Sqs, name: &str, section: &str) -> Result<Sqs, Error> {
    let settings = Settings::new(format!("brokers.{name}"), section.parse().unwrap());
    sqs.configure(&Instance::new(name, Sqs::KIND, None, Some(&settings)))?;
    Ok(sqs)
}

fn refused(sqs: Sqs, name: &str, section: &str) -> String {
    configured(sqs, name, section).unwrap_err().to_string()
}

async fn opening(sqs: &Sqs, queue: &str) -> Result<(), Error> {
    let source = Source::new("orders", queue);
    let provider = sqs.provider(&source, &NoOptions::default()).unwrap();
    provider.open(Open::Existing).await
}

/// An address at which nobody listens.
fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn an_unknown_key_is_reported_with_the_nearest() {
    for (section, said) in [
        (
            "endpont = 'http://a'",
            "unknown key `brokers.sqs.endpont`; did you mean `endpoint`?",
        ),
        (
            "bucket = 'b'",
            "unknown key `brokers.sqs.bucket`; known: `endpoint`, `region`, `reply_accounts`, `finish_polls`, `tags`, `s3`",
        ),
    ] {
        assert_eq!(refused(Sqs::default(), "sqs", section), said);
    }
    let error = refused(Sqs::default(), "sqs", "s3 = { bukcet = 'b' }");
    assert!(
        error.ends_with("bukcet`; did you mean `bucket`?"),
        "{error}"
    );
}

#[test]
fn a_wrong_value_is_reported_and_not_quoted() {
    for (section, said) in [
        (
            "endpoint = 'me:s3cr3t@host'",
            "`[brokers.sqs]`: wrong value at `endpoint`: not a URL",
        ),
        (
            "endpoint = 'http://'",
            "`[brokers.sqs]`: wrong value at `endpoint`: not a URL",
        ),
        (
            "region = 's3cr3t @'",
            "`[brokers.sqs]`: wrong value at `region`: not the code of a region",
        ),
        (
            "reply_accounts = ['1', 's3cr3t']",
            "`[brokers.sqs]`: wrong value at `reply_accounts`: not the id of an account",
        ),
        (
            "finish_polls = '0s'",
            "`[brokers.sqs]`: wrong value at `finish_polls`: not longer than nothing",
        ),
        (
            "finish_polls = 's3cr3t'",
            "`[brokers.sqs]`: wrong value at `finish_polls`: ",
        ),
        (
            "s3 = { bucket = 'b', threshold = 's3cr3t' }",
            "`[brokers.sqs]`: wrong value at `s3.threshold`: expected",
        ),
        (
            "s3 = { bucket = 'b', cleanup = 's3cr3t' }",
            "`[brokers.sqs]`: wrong value at `s3.cleanup`: expected one of `never`, `of-queues`, `all`",
        ),
    ] {
        let error = refused(Sqs::default(), "sqs", section);
        assert!(error.starts_with(said), "{error}");
        assert!(!error.contains("s3cr3t"), "{error}");
    }
}

#[test]
fn large_payloads_have_a_bucket_by_code_or_by_configuration() {
    let section = "s3 = { threshold = 1000, accept = 'others' }";
    let error = refused(Sqs::default(), "sqs", section);
    assert!(
        error.starts_with("`brokers.sqs.s3.bucket` is not set"),
        "{error}"
    );
    let by_code = Sqs::default().with_large_payloads(S3Payloads::new("payloads"));
    configured(by_code, "sqs", section).unwrap();
    configured(Sqs::default(), "sqs", "s3 = { bucket = 'payloads' }").unwrap();
}

#[test]
fn open_polls_are_waited_for_as_long_as_the_section_says() {
    for (section, waits) in [
        ("", 500),
        ("finish_polls = '3s'", 3_000),
        ("finish_polls = '20ms'", 20),
        // Payloads that are fetched get their time.
        ("finish_polls = '20ms'\ns3 = { bucket = 'b' }", 2_000),
    ] {
        let sqs = configured(Sqs::default(), "sqs", section).unwrap();
        let source = Source::new("orders", "orders");
        let provider = sqs.provider(&source, &NoOptions::default()).unwrap();
        let grace = provider.capabilities().receive_grace;
        assert_eq!(grace, Duration::from_millis(waits), "{section}");
    }
}

#[test]
fn a_second_instance_names_its_region() {
    let error = refused(
        Sqs::default(),
        "overseas",
        "endpoint = 'http://127.0.0.1:1'",
    );
    assert!(
        error.starts_with("`brokers.overseas.region` is not set, and AWS_REGION is for the first"),
        "{error}"
    );
    configured(Sqs::default(), "overseas", "region = 'us-east-1'").unwrap();
    let by_code = Sqs::with_config(support::config(&nowhere()));
    configured(by_code, "overseas", "").unwrap();
}

#[test]
fn nothing_of_the_settings_is_shown() {
    let section = "endpoint = 'http://me:s3cr3t@host'\ns3 = { bucket = 's3cr3t' }";
    let sqs = configured(Sqs::default(), "sqs", section).unwrap();
    assert!(!format!("{sqs:?}").contains("s3cr3t"));
}

#[tokio::test]
async fn endpoint_and_region_override_what_code_says() {
    let code = nowhere();
    let section = nowhere();
    let settings = format!("endpoint = '{section}'\nregion = 'mars-north-1'");
    let sqs = configured(Sqs::with_config(support::config(&code)), "sqs", &settings).unwrap();
    let error = opening(&sqs, "orders").await.unwrap_err().to_string();
    assert!(
        error.contains(&section) && !error.contains(&code),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_is_found_by_the_settings_alone() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "a_server_is_found_by_the_settings_alone"
    );
    let queue = server.queue("configured", None).await;
    let settings = format!("endpoint = '{}'", server.endpoint);
    let sqs = configured(
        Sqs::with_config(support::config(&nowhere())),
        "sqs",
        &settings,
    );
    opening(&sqs.unwrap(), &queue.name).await.unwrap();
}

/// Runs `child` of this binary: the instance of this name, with these settings, where the SDK's variables name the endpoint. Returns what it
/// printed.
fn in_a_process(name: &str, section: &str, endpoint: &str) -> String {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "child", "--ignored", "--nocapture"]);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
        child.env_remove(name);
    }
    child
        .env("HOME", "/nonexistent")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_ENDPOINT_URL_SQS", endpoint)
        .env("TEST_INSTANCE", name)
        .env("TEST_SECTION", section);
    let output = child.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
#[ignore = "needs TEST_INSTANCE and TEST_SECTION: the tests below run it, in a process of its own"]
async fn child() {
    let [name, section] =
        ["TEST_INSTANCE", "TEST_SECTION"].map(|name| std::env::var(name).unwrap());
    let sqs = configured(Sqs::default(), &name, &section).unwrap();
    println!("said: {}", opening(&sqs, "orders").await.unwrap_err());
}

#[test]
fn a_first_instance_takes_from_the_environment_what_its_settings_leave_open() {
    let (environment, section) = (nowhere(), nowhere());
    let said = in_a_process("sqs", "", &environment);
    assert!(said.contains(&environment), "{said}");
    let said = in_a_process("sqs", "region = 'us-east-1'", &environment);
    assert!(said.contains(&environment), "{said}");
    let said = in_a_process("sqs", &format!("endpoint = '{section}'"), &environment);
    assert!(
        said.contains(&section) && !said.contains(&environment),
        "{said}"
    );
}

#[test]
fn a_second_instance_takes_neither_region_nor_endpoint_from_the_environment() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let environment = format!("http://{}", listener.local_addr().unwrap());
    // No region of AWS, so that nobody is called.
    let said = in_a_process("overseas", "region = 'nowhere-1'", &environment);
    assert!(
        said.contains("https://sqs.nowhere-1.amazonaws.com"),
        "{said}"
    );
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "the endpoint was called");
}

#[tokio::test]
async fn what_is_made_has_the_tags_of_the_settings() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "what_is_made_has_the_tags_of_the_settings"
    );
    let section = "tags = { team = 'billing' }";
    let sqs = configured(server.sqs(), "sqs", section).unwrap();
    let queue = server.queue_of(sqs, "tagged", None).await;
    let replies = queue.sqs.replies(Some("orders")).unwrap();
    let address = replies.address().await.unwrap();
    let dead_letters = format!("{}-dlq", queue.url);
    for (url, marked) in [
        (&queue.url, None),
        (&dead_letters, None),
        (&address, Some("orders")),
    ] {
        let tags = queue.client.list_queue_tags().queue_url(url).send().await;
        let tags = tags.unwrap().tags.unwrap_or_default();
        assert_eq!(
            tags.get("team").map(String::as_str),
            Some("billing"),
            "{url}"
        );
        assert_eq!(
            tags.get("loafer:reply-queue").map(String::as_str),
            marked,
            "{url}"
        );
    }
    replies.close().await;
}
