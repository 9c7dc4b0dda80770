//! Replies in memory.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use loafer_core::{
    Error,
    broker::{Replies, reply_queue},
    message::Message,
};
use tokio::{
    sync::{Mutex, mpsc},
    time::timeout,
};

use crate::exchange::Exchange;

/// How many replies are kept until they are received. It is more than requests can wait at once.
const CAPACITY: usize = 16 * 1024;

/// A private address in memory, at which the replies to the requests of one process arrive.
///
/// It is opened by the first call of `address` or `receive`. A reply that arrives while 16,384 others wait is refused.
pub struct MemoryReplies {
    exchange: Arc<Exchange>,
    name: String,
    /// Empty until the address is opened.
    buffer: OnceLock<Mutex<mpsc::Receiver<Message>>>,
}

impl MemoryReplies {
    pub(crate) fn new(exchange: Arc<Exchange>, app: Option<&str>) -> Self {
        Self {
            exchange,
            name: reply_queue(app, 80),
            buffer: OnceLock::new(),
        }
    }

    fn buffer(&self) -> &Mutex<mpsc::Receiver<Message>> {
        self.buffer.get_or_init(|| {
            let (sender, receiver) = mpsc::channel(CAPACITY);
            self.exchange.open_reply_address(&self.name, sender);
            Mutex::new(receiver)
        })
    }
}

impl Replies for MemoryReplies {
    async fn address(&self) -> Result<String, Error> {
        self.buffer();
        Ok(self.name.clone())
    }

    async fn receive(&self, wait: Duration, into: &mut Vec<Message>) -> Result<(), Error> {
        let mut buffer = self.buffer().lock().await;
        if let Ok(Some(first)) = timeout(wait, buffer.recv()).await {
            into.push(first);
            while let Ok(next) = buffer.try_recv() {
                into.push(next);
            }
        }
        Ok(())
    }

    async fn close(&self) {
        self.exchange.close_reply_address(&self.name);
    }
}

impl Drop for MemoryReplies {
    fn drop(&mut self) {
        self.exchange.close_reply_address(&self.name);
    }
}

impl std::fmt::Debug for MemoryReplies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryReplies")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
