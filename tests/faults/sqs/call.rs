//! What the ledger says of a call: messages delivered, dead letters copied, and acks asked for, confirmed, refused or broken off.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use serde_json::{Value, json};

use super::frame::Frame;
use crate::ledger::Ledger;

/// How the addresses of dead-letter queues end.
const DEAD_LETTERS: &str = "-dlq";

/// Message and attempt of a delivery, by its receipt handle.
#[derive(Debug, Default)]
pub(super) struct Deliveries(Mutex<HashMap<String, (u64, u64)>>);

/// One call on its way. Dropped before its answer is through, its acks are broken off.
pub(super) struct Call<'l> {
    ledger: &'l Ledger,
    kind: Kind,
    /// Of the acks that have no answer yet: entry, message and attempt.
    acks: Vec<(String, (u64, u64))>,
    /// Of the dead letters that have no answer yet: entry and message.
    dead_letters: Vec<(String, u64)>,
    /// Entries that the server does not get to see.
    refused: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Receive,
    Delete,
    Change,
    Send,
    Other,
}

impl<'l> Call<'l> {
    pub(super) fn new(request: &Frame, deliveries: &Deliveries, ledger: &'l Ledger) -> Self {
        let target = request.header("x-amz-target").unwrap_or_default();
        let kind = match target.rsplit('.').next() {
            Some("ReceiveMessage") => Kind::Receive,
            Some("DeleteMessageBatch") => Kind::Delete,
            Some("ChangeMessageVisibilityBatch") => Kind::Change,
            Some("SendMessageBatch") => Kind::Send,
            _ => Kind::Other,
        };
        let (mut acks, mut dead_letters) = (Vec::new(), Vec::new());
        if kind == Kind::Delete {
            let known = deliveries.0.lock().unwrap_or_else(PoisonError::into_inner);
            let body = json(request);
            for entry in list(&body, "Entries") {
                let handle = entry["ReceiptHandle"].as_str().unwrap_or_default();
                let (id, attempt) = known[handle];
                ledger.write(&format!("deleting {id} {attempt}"));
                acks.push((text(entry, "Id"), (id, attempt)));
            }
        }
        if kind == Kind::Send {
            let body = json(request);
            let to_dead_letters = text(&body, "QueueUrl").ends_with(DEAD_LETTERS);
            let entries = list(&body, "Entries").filter(|_| to_dead_letters);
            dead_letters = entries
                .map(|entry| (text(entry, "Id"), job(entry, "MessageBody")))
                .collect();
        }
        Self {
            ledger,
            kind,
            acks,
            dead_letters,
            refused: Vec::new(),
        }
    }

    /// Whether it waits for messages: then it takes its time.
    pub(super) fn waits(&self) -> bool {
        self.kind == Kind::Receive
    }

    /// Takes some entries out of a batch; the whole answer, where none is left.
    pub(super) fn refuse_some(&mut self, request: &mut Frame) -> Option<Frame> {
        if !matches!(self.kind, Kind::Delete | Kind::Change) {
            return None;
        }
        let mut body = json(request);
        let entries = body["Entries"].as_array_mut()?;
        entries.retain(|entry| {
            let refused = fastrand::u8(..5) < 2;
            self.refused.extend(refused.then(|| text(entry, "Id")));
            !refused
        });
        let nothing_left = entries.is_empty();
        request.body = body.to_string().into_bytes();
        nothing_left.then(|| {
            let mut answer = Frame::ok();
            answer.body = json!({ "Successful": [] }).to_string().into_bytes();
            answer
        })
    }

    /// The server has answered. What is to be known before the client knows it is written now.
    pub(super) fn answered(&mut self, answer: &mut Frame, deliveries: &Deliveries) {
        if self.kind == Kind::Receive && answer.is_ok() {
            let mut known = deliveries.0.lock().unwrap_or_else(PoisonError::into_inner);
            for message in list(&json(answer), "Messages") {
                let id = job(message, "Body");
                let attempt = &message["Attributes"]["ApproximateReceiveCount"];
                let attempt = attempt.as_str().unwrap().parse().unwrap();
                self.ledger.write(&format!("given {id} {attempt}"));
                known.insert(text(message, "ReceiptHandle"), (id, attempt));
            }
        }
        if !self.dead_letters.is_empty() && answer.is_ok() {
            let body = json(answer);
            let taken: Vec<_> = list(&body, "Successful")
                .map(|taken| text(taken, "Id"))
                .collect();
            for (entry, id) in self.dead_letters.drain(..) {
                if taken.contains(&entry) {
                    self.ledger.write(&format!("copied {id}"));
                }
            }
        }
        if !self.refused.is_empty() && answer.is_ok() {
            let mut body = json(answer);
            let mut failed: Vec<Value> = list(&body, "Failed").cloned().collect();
            failed.extend(self.refused.iter().map(|id| {
                json!({ "Id": id, "Code": "InternalError", "Message": "injected", "SenderFault": false })
            }));
            body["Failed"] = failed.into();
            answer.body = body.to_string().into_bytes();
        }
    }

    /// The client has the answer.
    pub(super) fn through(mut self, answer: &Frame) {
        if self.kind != Kind::Delete || !answer.is_ok() {
            return;
        }
        let body = json(answer);
        let done: Vec<String> = list(&body, "Successful")
            .map(|done| text(done, "Id"))
            .collect();
        for (entry, (id, attempt)) in self.acks.drain(..) {
            let what = if done.contains(&entry) {
                "deleted"
            } else {
                "refused"
            };
            self.ledger.write(&format!("{what} {id} {attempt}"));
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        for (_, (id, attempt)) in &self.acks {
            self.ledger.write(&format!("broken {id} {attempt}"));
        }
    }
}

fn json(frame: &Frame) -> Value {
    serde_json::from_slice(&frame.body).unwrap()
}

fn list<'v>(body: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    body[name].as_array().into_iter().flatten()
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

/// The number of the message whose body stands there.
fn job(value: &Value, body: &str) -> u64 {
    let job: Value = serde_json::from_str(&text(value, body)).unwrap();
    job["id"].as_u64().unwrap()
}
