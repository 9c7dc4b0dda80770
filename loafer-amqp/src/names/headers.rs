//! Headers that stand for properties of AMQP, on messages that are published and on those that come.
//!
//! | header | property | where it is not set |
//! |---|---|---|
//! | [`CONTENT_TYPE`] | `content-type` | `application/json` |
//! | [`CONTENT_ENCODING`] | `content-encoding` | `utf-8` for JSON and `text/…`, else none; `utf-8` itself is no header of a message that comes |
//! | [`CORRELATION_ID`](loafer_core::CORRELATION_ID) | `correlation-id` | that of the message being handled, else the message's own id. Of requests and their replies it is [`REQUEST_ID`](loafer_core::REQUEST_ID), and this one goes into the header table |
//! | [`REPLY_TO`] | `reply-to` | none |
//! | [`APP_ID`] | `app-id` | `app_id` under `[amqp]`, else the name of the app |
//! | [`KIND`] | `type` | none |
//! | [`PRIORITY`] | `priority`, 0 to 255 | none |
//! | [`EXPIRATION`] | `expiration`, in milliseconds | none: a message stays until it is handled |
//!
//! Every message is persistent, and has its id as `message-id` and the time as `timestamp`: `Message::with_id` sets the id. All other
//! headers go into the header table, as text. Their names, and the properties that are texts, have 255 bytes at most.
//!
//! ```
//! use loafer_amqp::headers::{EXPIRATION, PRIORITY};
//! use loafer_core::{Message, Outgoing};
//!
//! let urgent = Outgoing::new(Message::new("{}")).header(PRIORITY, "9").header(EXPIRATION, "60000");
//! ```

/// What the payload is, as `application/json`.
pub const CONTENT_TYPE: &str = "content-type";
/// How the payload is encoded, as `utf-8` or `gzip`.
pub const CONTENT_ENCODING: &str = "content-encoding";
/// Where an answer is wanted: a queue.
pub const REPLY_TO: &str = loafer_core::REPLY_TO;
/// Who published it.
pub const APP_ID: &str = "amqp-app-id";
/// The property `type`.
pub const KIND: &str = "amqp-type";
/// How urgent it is among the messages of a priority queue: 0 to 255.
pub const PRIORITY: &str = "amqp-priority";
/// After how many milliseconds in a queue it is dropped, or dead-lettered where the queue has a target. Not a header of a message that comes.
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
