//! Services among killed processes, killed servers and broken connections: what is lost, and what comes twice.
//!
//! One run publishes numbered messages, and by a plan from one seed kills and stops consumers, kills the server, and
//! troubles their connections. A ledger of all that happened is then judged. `broker` says what brokers differ in.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod amqp;
mod broker;
mod consumer;
mod job;
mod judge;
mod ledger;
mod plan;
mod proxy;
mod publisher;
mod report;
mod run;
mod settings;
mod sqs;
#[path = "../support/mod.rs"]
mod support;

use loafer_test_servers::{RabbitMq, Version};
use tokio::sync::Mutex;

use self::{amqp::OnAmqp, run::run, settings::Settings, sqs::OnSqs};

/// One run at a time: each fills the machine, and leases are kept by the clock.
static TURN: Mutex<()> = Mutex::const_new(());

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_killed_or_cut_nothing_is_lost() {
    let Some(command) = sqs::Server::command("whatever_is_killed_or_cut_nothing_is_lost") else {
        return;
    };
    let _turn = TURN.lock().await;
    run(Settings::from_env(), async |folder, ledger| {
        OnSqs::start(command, folder, ledger).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_killed_or_cut_elasticmq_loses_nothing() {
    let Ok(url) = std::env::var("LOAFER_TEST_ELASTICMQ") else {
        let test = "whatever_is_killed_or_cut_elasticmq_loses_nothing";
        eprintln!("skipped: {test}: set LOAFER_TEST_ELASTICMQ, or run cargo xtask test");
        return;
    };
    let port = url.rsplit_once(':').unwrap().1.parse().unwrap();
    let _turn = TURN.lock().await;
    // It keeps nothing.
    let settings = Settings {
        server_kills: 0,
        ..Settings::from_env()
    };
    run(settings, async |_, _| OnSqs::on(port).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_killed_or_cut_rabbitmq_loses_nothing() {
    let test = "whatever_is_killed_or_cut_rabbitmq_loses_nothing";
    let Some(rabbit) = RabbitMq::installed(Version::Debian, test) else {
        return;
    };
    let _turn = TURN.lock().await;
    run(Settings::from_env(), async |folder, ledger| {
        OnAmqp::start(&rabbit, folder, ledger).await
    })
    .await;
}
