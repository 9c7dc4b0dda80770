//! What is told of messages that were not acked: to the log, to reporters, and to a test.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::{
    handler::Failure,
    stats::{RouteStats, Stats},
    sync::locked,
};
use loafer_core::message::Message;

/// How many bytes of a body are logged, if bodies are logged.
const LOGGED_BODY: usize = 2048;

/// Receives every message whose handling failed: error, panic, timeout, undecodable. Error trackers implement it.
///
/// It is called while the message is on its way, once for each failure, before `on_error`. It must not block. If it panics, the panic is
/// logged and the message goes on.
pub trait Report: Send + Sync + 'static {
    /// Called for a message that failed.
    fn failed(&self, failure: &Failure);

    /// Called when the program is about to end: sends what is not sent yet, within this time. It may block.
    fn flush(&self, _within: Duration) {}
}

impl<R: Report> Report for Arc<R> {
    fn failed(&self, failure: &Failure) {
        (**self).failed(failure);
    }

    fn flush(&self, within: Duration) {
        (**self).flush(within);
    }
}

/// Lines about messages that were not acked. A test prints them when it fails.
pub(crate) type FailureLog = Arc<Mutex<Vec<String>>>;

/// Tells what becomes of the messages of one route that are not acked.
pub(crate) struct Reports {
    pub(crate) route: String,
    pub(crate) queue: String,
    /// Whether bodies may be logged: in development.
    pub(crate) log_bodies: bool,
    /// Whether dead letters say their reason in words, beside its kind: others may read their queue.
    pub(crate) dead_letter_reasons: bool,
    pub(crate) reporters: Vec<Arc<dyn Report>>,
    pub(crate) failure_log: Option<FailureLog>,
    pub(crate) stats: Stats,
}

impl Reports {
    /// Logs, reports and counts a message that failed in this handler. `next` says what becomes of it.
    pub(crate) fn failed(&self, failure: &Failure, handler: &str, next: &str) {
        let (message, reason) = (failure.message(), failure.reason());
        self.note(message, &reason);
        tracing::error!(
            route = %self.route,
            queue = %self.queue,
            handler,
            message_id = %message.id(),
            attempt = message.attempt(),
            kind = failure.kind().as_str(),
            reason,
            next,
            body = self.body_of(message),
            "message not acked"
        );
        self.stats.add(&RouteStats {
            failed: 1,
            ..RouteStats::default()
        });
        for reporter in &self.reporters {
            if catch_unwind(AssertUnwindSafe(|| reporter.failed(failure))).is_err() {
                tracing::error!(route = %self.route, "a reporter panicked: this failure was not reported");
            }
        }
    }

    /// Logs a message that was not acked although nothing failed. The reason says what becomes of it.
    pub(crate) fn declined(&self, message: &Message, reason: &str) {
        self.not_acked(message, None, reason, None);
    }

    /// Logs a message that this handler did not ack although nothing failed. `next` says what becomes of it.
    pub(crate) fn declined_by(&self, handler: &str, message: &Message, reason: &str, next: &str) {
        self.not_acked(message, Some(handler), reason, Some(next));
    }

    fn not_acked(
        &self,
        message: &Message,
        handler: Option<&str>,
        reason: &str,
        next: Option<&str>,
    ) {
        self.note(message, reason);
        tracing::warn!(
            route = %self.route,
            queue = %self.queue,
            handler,
            message_id = %message.id(),
            attempt = message.attempt(),
            reason,
            next,
            body = self.body_of(message),
            "message not acked"
        );
    }

    /// Records that a message is put off because of the broker, which is said elsewhere.
    pub(crate) fn put_off(&self, message: &Message, reason: &str) {
        self.note(message, reason);
        tracing::debug!(route = %self.route, queue = %self.queue, message_id = %message.id(), reason, "message not acked");
    }

    /// Records the reason for a test that may print it.
    fn note(&self, message: &Message, reason: &str) {
        if let Some(failure_log) = &self.failure_log {
            let (route, id, attempt) = (&self.route, message.id(), message.attempt());
            let line =
                format!("not acked: route `{route}`, message {id}, attempt {attempt}: {reason}");
            locked(failure_log).push(line);
        }
    }

    /// Returns the body, if bodies are logged.
    fn body_of(&self, message: &Message) -> Option<String> {
        let body = &message.payload()[..message.payload().len().min(LOGGED_BODY)];
        self.log_bodies
            .then(|| String::from_utf8_lossy(body).into_owned())
    }
}
