//! Where replies to this service's requests come to: the contract of a broker.

use std::{future::Future, time::Duration};

use uuid::Uuid;

use crate::{
    Error,
    message::{Message, MessageId},
};

/// The header with the address a reply is wanted at, as the requester's broker writes it (SQS: the URL of a queue; RabbitMQ: the property
/// `reply_to`). Whoever replies reads it by [`Broker::reply_topic`](crate::broker::Broker::reply_topic).
pub const REPLY_TO: &str = "reply-to";
/// The header that ties a reply to its request: set by the requester, repeated by the reply (RabbitMQ: the property `correlation_id` of both).
///
/// Not [`CORRELATION_ID`](crate::message::CORRELATION_ID), which names a whole conversation and goes on from message to message.
pub const REQUEST_ID: &str = "request-id";
/// The header of a reply that says why there is none: the kind of the failure, as in dead letters. What else may be told is the payload,
/// `{"kind": …, "reason": …}`.
pub const REPLY_ERROR: &str = "reply-error";

/// The private address of one process, at which the replies to all its requests come in.
///
/// A broker gives one to each app that asks ([`Broker::replies`](crate::broker::Broker::replies)); nothing is made before the first request. Replies are
/// worth something to one process, for as long as it waits: the address may forget what nobody fetches, and keeps no order. What is left
/// of it after a crash should be the broker's to clear away.
///
/// On RabbitMQ that is an exclusive queue that deletes itself, consumed without acknowledgements on the service's own connection; `reply-to`
/// and `request-id` are the properties `reply_to` and `correlation_id`, so that clients in other languages are answered and answer, and a
/// conversation's `correlation-id` travels among the headers.
///
/// # Cancellation
///
/// `address` and `receive` may be dropped in flight: the next call takes up what was begun, and a reply may be lost with the call.
pub trait Replies: Send + Sync + 'static {
    /// The address, for the header [`REPLY_TO`]. The first call makes it, further ones are cheap. Where it was lost (a connection broke, somebody
    /// removed the queue) the next call makes another: requests that are on their way with the old one will time out.
    ///
    /// # Errors
    ///
    /// Where it can't be made, with the remedy. The next call tries again.
    fn address(&self) -> impl Future<Output = Result<String, Error>> + Send;

    /// Appends the replies that are there; where none is, waits for one, at most `wait`. Called by one task at a time, and only while
    /// requests wait for their replies: what it costs, an idle service does not pay.
    ///
    /// # Errors
    ///
    /// Where the broker can't be asked; it is asked again after a pause.
    fn receive(
        &self,
        wait: Duration,
        into: &mut Vec<Message>,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Removes the address, where one was made. Called once, at the end.
    fn close(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// What stands between the name of an app and the id of its process.
const MARK: &str = "-replies-";
/// An id as text.
const ID: usize = 36;

/// A new name for the reply queue of a process: `APP-replies-UUID`, of at most `longest` letters, digits, `-` and `_`.
///
/// An operator knows by it whose queue it is, and a replier that it is nothing else: see [`is_reply_queue`].
///
/// # Panics
///
/// Never; a name is not shorter than `x-replies-UUID`, 46 bytes.
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

/// Whether this is the name of a reply queue, as [`reply_queue`] makes it.
///
/// Where a reply goes is for the sender of the request to say. Brokers whose reply queues have names like any other refuse all else: no
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
