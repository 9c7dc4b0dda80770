//! What a plain `cargo test` leaves out: it starts no servers, and says so.

use std::io::Write as _;

use aws_sdk_sqs::config::{Credentials, Region};
use loafer::{App, BrokerKind, Json, Manager, Route, Sqs};

/// The servers that `cargo xtask test` starts, by the variables it sets.
const SERVERS: [(&str, &str); 2] = [
    ("fauxqs", "LOAFER_TEST_FAUXQS"),
    ("ElasticMQ", "LOAFER_TEST_ELASTICMQ"),
];

#[tokio::test]
async fn an_unknown_queue_is_told_by_every_server() {
    for (server, variable) in SERVERS {
        let Ok(endpoint) = std::env::var(variable) else {
            // Straight to the terminal: the harness hides what passing tests print.
            let line = format!(
                "skipped: all tests against {server}: set {variable}, or run cargo xtask test\n"
            );
            std::io::stderr().write_all(line.as_bytes()).unwrap();
            continue;
        };
        let config = Sqs::loader()
            .endpoint_url(endpoint)
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
            .load()
            .await;
        let app = App::new()
            .broker(Sqs::with_config(config))
            .provider(BrokerKind::of::<Sqs>());
        let route = Route::new("no-such-queue").handler(Json, async |_: u32| true);
        let manager = Manager::builder().app(app).route(route).build().unwrap();
        let error = manager.start().await.unwrap_err().to_string();
        assert!(
            error.contains("`no-such-queue` does not exist"),
            "{server}: {error}"
        );
    }
}
