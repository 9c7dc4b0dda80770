//! The contestants, their proxies and their queues.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use anyhow::Result;
use aws_sdk_sqs::Client;

use super::{
    program::{Orders, Program},
    proxy::Proxy,
    queue::{self, Queue},
};

/// What every part of the bench needs.
#[derive(Debug)]
pub struct Bench {
    /// Calls SQS without a proxy.
    client: Client,
    /// How many queues were made so far: each has its own name.
    queues: AtomicUsize,
    /// Who is measured, the one under test first.
    pub contestants: Vec<Contestant>,
}

/// A program that consumes a queue, and the proxy that it does so through.
#[derive(Debug)]
pub struct Contestant {
    /// The name in the tables.
    pub name: &'static str,
    /// The executable.
    pub program: PathBuf,
    /// Its own proxy: calls of others that run at the same time do not count.
    pub proxy: Proxy,
}

impl Bench {
    /// Returns a bench against the SQS at this endpoint, with these programs.
    ///
    /// # Errors
    ///
    /// If there is no port for a proxy.
    pub async fn new(
        endpoint: &str,
        latency: Duration,
        programs: Vec<(&'static str, PathBuf)>,
    ) -> Result<Self> {
        let contestants = programs.into_iter().map(|(name, program)| {
            Ok(Contestant {
                name,
                program,
                proxy: Proxy::start(endpoint, latency)?,
            })
        });
        Ok(Self {
            client: Client::new(&queue::config(endpoint).await),
            queues: AtomicUsize::new(0),
            contestants: contestants.collect::<Result<_>>()?,
        })
    }

    /// Makes a new queue with this many messages.
    ///
    /// # Errors
    ///
    /// If a call failed.
    pub async fn queue(&self, messages: usize) -> Result<Queue> {
        let number = self.queues.fetch_add(1, Ordering::Relaxed);
        let name = format!("loafer-bench-{}-{number}", std::process::id());
        Queue::filled(&self.client, name, messages).await
    }
}

impl Contestant {
    /// Starts its program, with the calls counted from zero.
    ///
    /// # Errors
    ///
    /// If there is no such program.
    pub fn start(&self, orders: Orders<'_>) -> Result<Program> {
        self.proxy.calls().take();
        Program::start(&self.program, &self.proxy.url(), orders)
    }
}
