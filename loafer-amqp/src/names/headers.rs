//! Headers that stand for properties of AMQP. A message is published with these properties, and a received message has them as headers.
//!
//! | header | property | if the message has no such header |
//! |---|---|---|
//! | [`CONTENT_TYPE`] | `content-type` | `application/json` |
//! | [`CONTENT_ENCODING`] | `content-encoding` | `utf-8` for JSON and `text/…`; not set for others. A received message has no header for `utf-8` |
//! | [`CORRELATION_ID`](loafer_core::message::CORRELATION_ID) | `correlation-id` | that of the message being handled, else the message's own id |
//! | [`REPLY_TO`] | `reply-to` | not set |
//! | [`APP_ID`] | `app-id` | `app_id` under `[brokers.amqp]`, else the name of the app |
//! | [`KIND`] | `type` | not set |
//! | [`PRIORITY`] | `priority`, 0 to 255 | not set |
//! | [`EXPIRATION`] | `expiration`, in milliseconds | not set: a message stays until it is handled |
//!
//! In requests and their replies the property `correlation-id` is [`REQUEST_ID`](loafer_core::broker::REQUEST_ID), and the correlation id goes into the
//! header table.
//!
//! Every message is persistent, and has its id as `message-id` and the time as `timestamp`. `Message::with_id` sets the id. All other headers go
//! into the header table, as text, or as the number or bytes of their [`HeaderValue`](loafer_core::message::HeaderValue). Names of headers, and properties that are texts, have at most 255 bytes.
//!
//! ```
//! use loafer_amqp::headers::{EXPIRATION, PRIORITY};
//! use loafer::{Message, Outgoing};
//!
//! let urgent = Outgoing::new(Message::new("{}")).header(PRIORITY, "9").header(EXPIRATION, "60000");
//! ```

use loafer_core::broker::DueTime;

/// The type of the payload, for example `application/json`.
pub const CONTENT_TYPE: &str = loafer_core::message::CONTENT_TYPE;
/// The encoding of the payload, for example `utf-8` or `gzip`.
pub const CONTENT_ENCODING: &str = "content-encoding";
/// The queue that a reply goes to.
pub const REPLY_TO: &str = loafer_core::broker::REPLY_TO;
/// The program that published the message.
pub const APP_ID: &str = "amqp-app-id";
/// The property `type`.
pub const KIND: &str = "amqp-type";
/// The priority of the message in a priority queue: 0 to 255.
pub const PRIORITY: &str = "amqp-priority";
/// After how many milliseconds in a queue the message is dropped, or dead-lettered if the queue has a target. A received message has no such header,
/// and one with a delay can't have it: it would end the delay.
pub const EXPIRATION: &str = "amqp-expiration";

/// All of these: none of them goes into the header table.
pub(crate) const STANDING_FOR: &[&str] = &[
    CONTENT_TYPE,
    CONTENT_ENCODING,
    REPLY_TO,
    APP_ID,
    KIND,
    PRIORITY,
    EXPIRATION,
];

/// The header in which a copy says which attempt it is for, since RabbitMQ counts the deliveries of a copy from the start.
pub(crate) const ATTEMPT: &str = "loafer-attempt";

/// The header in which an isolated copy says how often the message was delivered before: RabbitMQ counts the deliveries of the copy alone.
pub(crate) const DELIVERIES: &str = "loafer-deliveries";

/// The header in which a copy keeps the topic of the message: the copy itself has the routing key of a delay queue.
pub(crate) const TOPIC: &str = "loafer-topic";

/// The header in which a retry keeps the queue that it comes back to: delay queues are those of a whole service.
pub(crate) const QUEUE: &str = "loafer-queue";

/// The header with the group of the message: AMQP has no groups.
pub(crate) const GROUP: &str = "loafer-group";

/// The header from which Pigeon and similar clients read the name of the event.
pub(crate) const CATEGORY: &str = "category";

/// The header in which a copy says when an attempt at the message failed first: a timestamp, in seconds.
pub(crate) const FIRST_FAILED_AT: &str = "loafer-first-failed-at";

/// The header of a message that only asks whether a queue exists. Whoever gets such a message drops it.
pub(crate) const PROBE: &str = "loafer-probe";

/// The header in which quorum queues count deliveries: each return of a message until RabbitMQ 4.2, and only those of lost consumers from 4.3 on.
pub(crate) const DELIVERY_COUNT: &str = "x-delivery-count";

/// The header in which quorum queues of RabbitMQ 4.3 and later count each return of a message.
pub(crate) const ACQUIRED_COUNT: &str = "x-acquired-count";

/// Returns whether only we say this, of a copy or of its message. A publisher's own header of this name is not sent.
pub(crate) fn is_ours(name: &str) -> bool {
    matches!(
        name,
        ATTEMPT | DELIVERIES | FIRST_FAILED_AT | TOPIC | QUEUE | GROUP | PROBE | DueTime::HEADER
    )
}

/// Returns whether RabbitMQ writes this header itself, about deaths and deliveries. Other headers that begin with `x-` are the sender's.
pub(crate) fn is_brokers(name: &str) -> bool {
    [
        "x-death",
        "x-first-death-",
        "x-last-death-",
        "x-delivery-",
        "x-acquired-",
        "x-stream-",
    ]
    .iter()
    .any(|own| name.starts_with(own))
}
