//! What handlers of a case saw.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use super::case::{Checked, Fault, ensure};
use loafer_core::message::Message;

/// What handlers of a case saw: message by message, by its body.
#[derive(Clone)]
pub(super) struct Ledger {
    book: Arc<Mutex<Book>>,
    /// How many different messages were seen.
    distinct: watch::Sender<usize>,
}

#[derive(Default)]
struct Book {
    entries: Vec<Entry>,
    times: HashMap<String, usize>,
}

/// One call of a handler.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) body: String,
    pub(super) group: Option<String>,
    pub(super) at: Instant,
}

impl Ledger {
    pub(super) fn new() -> Self {
        Self {
            book: Arc::default(),
            distinct: watch::channel(0).0,
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a message; how often it was noted, this time included.
    pub(super) fn note(&self, message: &Message) -> usize {
        let body = String::from_utf8_lossy(message.payload()).into_owned();
        let mut book = self.book();
        book.entries.push(Entry {
            body: body.clone(),
            group: message.group().map(str::to_owned),
            at: Instant::now(),
        });
        let times = book.times.entry(body).or_default();
        *times += 1;
        let times = *times;
        let distinct = book.times.len();
        drop(book);
        if times == 1 {
            self.distinct.send_replace(distinct);
        }
        times
    }

    /// A handler that notes and acks.
    pub(super) fn acking(
        &self,
    ) -> impl Fn(Message) -> std::future::Ready<bool> + Clone + Send + Sync + 'static {
        let ledger = self.clone();
        move |message| {
            ledger.note(&message);
            std::future::ready(true)
        }
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        self.book().entries.clone()
    }

    /// The bodies of a group, in the order in which they were noted.
    pub(super) fn of_group(&self, group: &str) -> Vec<String> {
        let book = self.book();
        let of_group = book
            .entries
            .iter()
            .filter(|entry| entry.group.as_deref() == Some(group));
        of_group.map(|entry| entry.body.clone()).collect()
    }

    pub(super) fn total(&self) -> usize {
        self.book().entries.len()
    }

    pub(super) fn distinct(&self) -> usize {
        self.book().times.len()
    }

    pub(super) fn has(&self, body: &str) -> bool {
        self.book().times.contains_key(body)
    }

    /// Waits until so many different messages were noted.
    pub(super) async fn reaches(&self, count: usize, patience: Duration) -> Checked {
        let mut distinct = self.distinct.subscribe();
        // As long as messages keep coming, there is patience.
        loop {
            let before = *distinct.borrow_and_update();
            if before >= count {
                return Ok(());
            }
            if timeout(patience, distinct.changed()).await.is_err() {
                return Err(Fault::new(format_args!(
                    "{before} of {count} messages were handled, then none for {patience:?}"
                )));
            }
        }
    }

    /// Every message was noted exactly once.
    pub(super) fn once_each(&self) -> Checked {
        let book = self.book();
        let twice = book.times.iter().find(|(_, times)| **times > 1);
        if let Some((body, times)) = twice {
            ensure!(false, "message {body} was handled {times} times");
        }
        Ok(())
    }
}
