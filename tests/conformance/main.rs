//! The conformance suite on real servers, and what the README says of it.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod amqp;
mod line;
mod sqs;

use loafer::Memory;
use loafer_conformance::{BrokerUnderTest, Matrix, run};

use amqp::{OnAmqp, Version};
use sqs::{OnSqs, Server};

const README: &str = include_str!("../../README.md");

/// Runs all cases where the server is there; prints the matrix, and fails where a case does.
async fn conforms(broker: Option<impl BrokerUnderTest>) {
    let Some(broker) = broker else {
        return;
    };
    let report = run(broker).await;
    report.assert_passed();
    println!("{}", Matrix::from_iter([&report]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sqs_conforms_on_fauxqs() {
    conforms(OnSqs::at(Server::Fauxqs)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sqs_conforms_on_elasticmq() {
    conforms(OnSqs::at(Server::ElasticMq)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn amqp_conforms_on_rabbitmq_3() {
    conforms(OnAmqp::at(Version::V3)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn amqp_conforms_on_rabbitmq_4() {
    conforms(OnAmqp::at(Version::V4)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn amqp_conforms_on_rabbitmq_4_3() {
    conforms(OnAmqp::at(Version::V43)).await;
}

#[tokio::test(start_paused = true)]
async fn memory_conforms() {
    run(Memory::new()).await.assert_passed();
}

/// What the brokers declare is what the runs above prove, so the README shows just that.
#[test]
fn the_readme_shows_the_matrix() {
    let declared = [
        Memory::new().declares(),
        sqs::declares(Server::Fauxqs),
        sqs::declares(Server::ElasticMq),
        amqp::declares(Version::V3),
        amqp::declares(Version::V4),
        amqp::declares(Version::V43),
    ];
    let matrix = Matrix::declared(&declared).to_string();
    assert!(
        README.contains(&matrix),
        "the README's section \"Conformance\" should be:\n\n{matrix}"
    );
}
