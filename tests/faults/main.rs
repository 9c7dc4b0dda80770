//! Services among killed processes, killed servers and broken connections: what is lost, and what comes twice.
//!
//! One run publishes numbered messages, and by a plan from one seed kills and stops consumers, kills the server, and
//! troubles their connections. A ledger of all that happened is then judged.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod consumer;
mod job;
mod judge;
mod ledger;
mod plan;
mod proxy;
mod publisher;
mod report;
mod run;
mod server;
mod settings;
#[path = "../support/mod.rs"]
mod support;

use self::{run::run, server::Server, settings::Settings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_killed_or_cut_nothing_is_lost() {
    let Some(command) = Server::command("whatever_is_killed_or_cut_nothing_is_lost") else {
        return;
    };
    run(command, Settings::from_env()).await;
}
