//! Replies to a service's requests: the address at which they arrive.

use std::{future::Future, time::Duration};

use uuid::Uuid;

use crate::{
    Error,
    broker::Finding,
    message::{Message, MessageId},
};

/// The header with the address for the reply, as the requester's broker writes it (SQS: the URL of a queue; RabbitMQ: the property
/// `reply_to`). The service that replies reads it by [`Broker::reply_topic`](crate::broker::Broker::reply_topic).
pub const REPLY_TO: &str = "reply-to";
/// The header that ties a reply to its request. The requester sets it, and the reply repeats it (RabbitMQ: the property `correlation_id` of both).
///
/// It is not [`CORRELATION_ID`](crate::message::CORRELATION_ID), which names a whole conversation and is passed on from message to message.
pub const REQUEST_ID: &str = "request-id";
/// The header of a reply that reports a failure: the kind of the failure, as in dead letters. The payload is `{"kind": …, "reason": …}`.
pub const REPLY_ERROR: &str = "reply-error";

/// The private address of one process, at which the replies to all its requests arrive.
///
/// A broker gives one to each app that asks ([`Broker::replies`](crate::broker::Broker::replies)). Nothing is created before the first request. Replies
/// matter to one process only, and only while it waits. So the address may forget replies that nobody fetches, and it keeps no order. The
/// broker should remove what a crash leaves behind.
///
/// On RabbitMQ the address is an exclusive queue that deletes itself, consumed without acknowledgements on the service's own connection.
/// `reply-to` and `request-id` are the properties `reply_to` and `correlation_id` there, so that clients in other languages can take part, and a
/// conversation's `correlation-id` travels among the headers.
///
/// # Cancellation
///
/// The futures of `address` and `receive` may be dropped. The next call continues what was begun, and a reply may be lost with the call.
pub trait Replies: Send + Sync + 'static {
    /// Returns the address, for the header [`REPLY_TO`]. The first call creates it, and further calls are cheap. If the address was lost (a
    /// connection broke, somebody removed the queue), the next call creates another, and requests that are on their way with the old one time out.
    ///
    /// # Errors
    ///
    /// If the address can't be created. The error says what to do, and the next call tries again.
    fn address(&self) -> impl Future<Output = Result<String, Error>> + Send;

    /// Appends the replies that are there. If there is none, it waits for one, at most `wait`. It is called by one task at a time, and only while
    /// requests wait for their replies, so that an idle service does not pay for it.
    ///
    /// # Errors
    ///
    /// If the broker can't be asked. The framework asks again after a pause.
    fn receive(
        &self,
        wait: Duration,
        into: &mut Vec<Message>,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Looks for the addresses that processes of the app may have left behind, and returns what the command `check` says of them. With `delete` it
    /// removes them. It is called without any other call before it, and needs no address of its own. The default finds none, as on brokers that remove them
    /// themselves.
    fn left_behind(&self, delete: bool) -> impl Future<Output = Vec<Finding>> + Send {
        _ = delete;
        std::future::ready(Vec::new())
    }

    /// Removes the address, if there is one. It is called once, at the end.
    fn close(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// The text between the name of an app and the id of its process.
const MARK: &str = "-replies-";
/// The length of an id as text.
const ID: usize = 36;

/// Returns a new name for the reply queue of a process: `APP-replies-UUID`, of at most `longest` ASCII letters, digits, `-` and `_`.
///
/// The name tells an operator whose queue it is, and a service that replies that it is a reply queue: see [`is_reply_queue`]. It is at least 46 bytes
/// long, as `x-replies-UUID` is, also if `longest` is less.
#[must_use]
pub fn reply_queue(app: Option<&str>, longest: usize) -> String {
    let room = longest.saturating_sub(MARK.len() + ID).max(1);
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    let app = app.filter(|app| !app.is_empty()).unwrap_or("loafer");
    let app: String = app
        .chars()
        .map(|letter| if fits(letter) { letter } else { '-' })
        .take(room)
        .collect();
    format!("{app}{MARK}{}", MessageId::new())
}

/// Returns what the names of the reply queues of this app begin with, as [`reply_queue`] makes them.
#[must_use]
pub fn reply_queue_prefix(app: Option<&str>, longest: usize) -> String {
    let mut name = reply_queue(app, longest);
    name.truncate(name.len() - ID);
    name
}

/// Returns whether this is the name of a reply queue, as [`reply_queue`] makes it.
///
/// The sender of a request says where its reply goes. A broker whose reply queues are named like any other queue refuses all other names, so that no
/// request makes a service write to a queue that others work on.
#[must_use]
pub fn is_reply_queue(name: &str) -> bool {
    let id = name.rsplit_once(MARK).filter(|(app, _)| !app.is_empty());
    id.is_some_and(|(_, id)| id.len() == ID && Uuid::try_parse(id).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_again_and_fits() {
        for app in [
            None,
            Some(""),
            Some("friends"),
            Some("my app/1"),
            Some(&*"x".repeat(200)),
        ] {
            let name = reply_queue(app, 80);
            assert!(is_reply_queue(&name) && name.len() <= 80, "{name}");
            assert!(!name.contains([' ', '/']), "{name}");
        }
        assert!(reply_queue(Some("friends"), 80).starts_with("friends-replies-"));
    }

    #[test]
    fn no_other_queue_is_taken_for_one() {
        let id = MessageId::new();
        for name in [
            "orders".to_owned(),
            "orders-replies-".to_owned(),
            format!("-replies-{id}"),
            format!("orders-replies-{id}x"),
            format!("orders-replies-{id}.fifo"),
            format!("orders-{id}"),
        ] {
            assert!(!is_reply_queue(&name), "{name}");
        }
    }
}
