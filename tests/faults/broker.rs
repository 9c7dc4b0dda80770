//! The broker of a run: all that SQS and RabbitMQ differ in, but for what the judge goes by.

use std::{collections::HashMap, future::Future, time::Duration};

use tokio::process::Command;

use crate::{
    job::Job,
    judge::{DeadMessage, Rules},
    proxy::Wire,
};

/// A server that keeps its data, with one queue for the messages and one for the dead letters.
pub(crate) trait Broker: Send + Sync + 'static {
    /// What its deliveries hang on, and how long services try.
    const RULES: Rules;
    /// Messages that one call publishes at most.
    const BATCH: u64;
    type Wire: Wire;
    type Sender: Sender;

    /// Where it listens on 127.0.0.1, after every kill as well.
    fn port(&self) -> u16;

    /// How a proxy of this name reads what it passes on.
    fn wire(&self, name: &str) -> Self::Wire;

    /// Tells a consumer of it, by way of the proxy on this port.
    fn tell(&self, proxy: u16, consumer: &mut Command);

    /// Waits until the consumers, who were just started, have what outlives a kill.
    fn prepared(&self) -> impl Future<Output = ()> + Send;

    /// Who publishes, by way of the proxy on this port.
    fn sender(&self, proxy: u16) -> Self::Sender;

    /// SIGKILL, nobody there for so long, and a start with what it kept. Both are in the ledger.
    fn kill_for(&self, time: Duration) -> impl Future<Output = ()> + Send;

    /// How many messages are to come or with a consumer.
    fn depth(&self) -> impl Future<Output = u64> + Send;

    /// All dead letters.
    fn dead_letters(&self) -> impl Future<Output = Vec<DeadMessage>> + Send;
}

/// Publishes on a broker.
pub(crate) trait Sender: Send + Sync {
    /// The numbers of those that the server confirmed.
    fn send(&self, jobs: &HashMap<u64, Job>) -> impl Future<Output = Vec<u64>> + Send;
}
