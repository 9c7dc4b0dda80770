//! Replies in memory.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::{
    sync::{Mutex, mpsc},
    time::timeout,
};

use super::broker::Exchange;
use loafer_core::{
    Error,
    broker::{Replies, Topic, reply_queue},
    message::Message,
};

/// How many replies are kept of which none was fetched; more than requests can wait.
const CAPACITY: usize = 16 * 1024;

/// What a topic that is a reply address begins with, as one that is a queue.
const BROKER: &str = "memory:";

/// A private address in memory.
pub struct MemoryReplies {
    exchange: Arc<Exchange>,
    name: String,
    inbox: OnceLock<Mutex<mpsc::Receiver<Message>>>,
}

impl MemoryReplies {
    pub(super) fn new(exchange: Arc<Exchange>, app: Option<&str>) -> Self {
        Self {
            exchange,
            name: reply_queue(app, 80),
            inbox: OnceLock::new(),
        }
    }

    fn inbox(&self) -> &Mutex<mpsc::Receiver<Message>> {
        self.inbox.get_or_init(|| {
            let (sender, receiver) = mpsc::channel(CAPACITY);
            self.exchange.open_inbox(&self.name, sender);
            Mutex::new(receiver)
        })
    }
}

impl Replies for MemoryReplies {
    async fn address(&self) -> Result<String, Error> {
        self.inbox();
        Ok(self.name.clone())
    }

    async fn receive(&self, wait: Duration, into: &mut Vec<Message>) -> Result<(), Error> {
        let mut inbox = self.inbox().lock().await;
        if let Ok(Some(first)) = timeout(wait, inbox.recv()).await {
            into.push(first);
            while let Ok(next) = inbox.try_recv() {
                into.push(next);
            }
        }
        Ok(())
    }

    async fn close(&self) {
        self.exchange.close_inbox(&self.name);
    }
}

impl Drop for MemoryReplies {
    fn drop(&mut self) {
        self.exchange.close_inbox(&self.name);
    }
}

impl std::fmt::Debug for MemoryReplies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryReplies")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The topic of a reply address.
pub(super) fn topic(address: &str) -> Result<Topic, Error> {
    if !loafer_core::broker::is_reply_queue(address) {
        return Err(Error::Config(
            "the header `reply-to` names no reply address in memory".to_owned(),
        ));
    }
    Ok(Topic::from(format!("{BROKER}{address}")))
}
