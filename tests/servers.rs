//! What a plain `cargo test` leaves out: it starts no servers, and says so.

#![allow(
    clippy::unwrap_used,
    reason = "outside of a test function, a helper panics as one"
)]

use std::io::Write as _;

use aws_sdk_sqs::config::{Credentials, Region};
use loafer::{App, Json, Route, Sqs, program::Manager};

/// The servers that `cargo xtask test` starts, by the variables it sets.
const OF_SQS: [(&str, &str); 2] = [
    ("fauxqs", "LOAFER_TEST_FAUXQS"),
    ("ElasticMQ", "LOAFER_TEST_ELASTICMQ"),
];
const OF_AMQP: [(&str, &str); 3] = [
    ("RabbitMQ 3.10", "LOAFER_TEST_RABBITMQ"),
    ("RabbitMQ 4", "LOAFER_TEST_RABBITMQ_4"),
    ("RabbitMQ 4.3", "LOAFER_TEST_RABBITMQ_4_3"),
];

/// Straight to the terminal: the harness hides what passing tests print.
fn skipped(server: &str, remedy: &str) {
    let line = format!("skipped: all tests against {server}: {remedy}, or run cargo xtask test\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// Where the servers are that were started.
fn started(
    servers: impl IntoIterator<Item = (&'static str, &'static str)>,
) -> impl Iterator<Item = (&'static str, String)> {
    servers.into_iter().filter_map(|(server, variable)| {
        let address = std::env::var(variable).ok();
        if address.is_none() {
            skipped(server, &format!("set {variable}"));
        }
        Some((server, address?))
    })
}

/// Why a service of this route does not start.
async fn refused(app: App, route: Route) -> String {
    let route = route.handler(Json, async |_: u32| true);
    let manager = Manager::builder().app(app).route(route).build().unwrap();
    manager.start().await.unwrap_err().to_string()
}

#[tokio::test]
async fn an_unknown_queue_is_reported_by_every_sqs() {
    for (server, endpoint) in started(OF_SQS) {
        let config = Sqs::loader()
            .endpoint_url(endpoint)
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
            .load()
            .await;
        let app = App::new().broker(Sqs::with_config(config));
        let route = Route::new("no-such-queue").provider::<Sqs>();
        let error = refused(app, route).await;
        assert!(
            error.contains("`no-such-queue` does not exist"),
            "{server}: {error}"
        );
    }
}

#[cfg(feature = "amqp")]
#[tokio::test]
async fn an_unknown_queue_is_reported_by_every_rabbitmq() {
    use loafer::{
        Amqp, RouteOptions,
        amqp::{Declare, Options},
    };

    for (server, url) in started(OF_AMQP) {
        let app = App::new().broker(Amqp::new(url));
        let route = Route::new("no-such-queue").provider::<Amqp>();
        let options = RouteOptions::new()
            .queue("no-such-queue")
            .broker_options::<Amqp>(Options::new().declare(Declare::Verify));
        let error = refused(app, route.options(options)).await;
        assert!(
            error.contains("no-such-queue") && error.contains("declare"),
            "{server}: {error}"
        );
    }
}

#[cfg(not(feature = "amqp"))]
#[test]
fn without_its_client_every_rabbitmq_is_left_out() {
    for (server, _) in started(OF_AMQP) {
        skipped(server, "add --features amqp");
    }
}
