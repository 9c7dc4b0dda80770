//! Services on SQS and SNS, and on RabbitMQ, as processes: what arrives, what comes back, what is given up, and what an end costs.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

/// The local server, or the end of the test that calls.
macro_rules! aws {
    ($test:literal) => {
        match crate::support::aws::server($test) {
            Some(aws) => aws,
            None => return,
        }
    };
}

mod bodies;
mod dead_letters;
mod friends;
mod orders;
mod outcomes;
mod shutdown;
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use support::{
    Service,
    aws::{Aws, Queue},
    program,
};

const SECOND: Duration = Duration::from_secs(1);

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

/// The lines that begin so.
fn count(text: &str, start: &str) -> usize {
    text.lines().filter(|line| line.starts_with(start)).count()
}
