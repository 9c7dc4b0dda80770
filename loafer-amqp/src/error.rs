//! What the broker and the client say, made short.

use std::time::Duration;

use humantime::format_duration;
use lapin::ErrorKind;
use loafer_core::Error;

use crate::rights;

/// RabbitMQ's own codes (AMQP 0-9-1, constants).
pub(crate) const ACCESS_REFUSED: u16 = 403;
pub(crate) const NOT_FOUND: u16 = 404;
pub(crate) const RESOURCE_LOCKED: u16 = 405;
pub(crate) const PRECONDITION_FAILED: u16 = 406;
pub(crate) const NOT_ALLOWED: u16 = 530;

/// The code of an answer that closed a channel or the connection.
pub(crate) fn code(error: &lapin::Error) -> Option<u16> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => Some(error.get_id()),
        _ => None,
    }
}

/// What happened, in a few words; of what the broker said, its own.
pub(crate) fn cause(error: &lapin::Error) -> String {
    if let Some(denied) = denied("", error) {
        return denied;
    }
    match error.kind() {
        ErrorKind::ProtocolError(error) => {
            let text = error.get_message().to_string();
            if let Some(millis) = unsettled(&text) {
                return format!(
                    "RabbitMQ took back every unsettled message of this route, since one was not settled within its `consumer_timeout` of {}: they come again. Set \
                     the route's `timeout` below that, or raise `consumer_timeout` in rabbitmq.conf and say so by `consumer_timeout` under [amqp] in loafer.toml",
                    format_duration(Duration::from_millis(millis))
                );
            }
            // "PRECONDITION_FAILED - inequivalent arg …": the name says nothing the rest does not.
            let text = text
                .split_once(" - ")
                .map_or(text.as_str(), |(_, text)| text);
            format!("RabbitMQ answered {}: {text}", error.get_id())
        }
        ErrorKind::IOError(error) => error.to_string(),
        ErrorKind::MissingHeartbeatError => {
            "RabbitMQ sent no heartbeat: the connection was given up".to_owned()
        }
        ErrorKind::InvalidConnectionState(_) | ErrorKind::InvalidChannelState(..) => {
            "the connection to RabbitMQ is lost".to_owned()
        }
        ErrorKind::ChannelsLimitReached => {
            "the connection has as many channels as RabbitMQ allows: raise its `channel_max`"
                .to_owned()
        }
        _ => error.to_string(),
    }
}

/// After how many milliseconds RabbitMQ closed a channel over a delivery that was not settled, where it did: "delivery acknowledgement on channel 1
/// timed out. Timeout value used: 1800000 ms. …"
fn unsettled(text: &str) -> Option<u64> {
    let (_, told) = text.split_once("delivery acknowledgement on channel")?;
    let (_, value) = told.split_once("Timeout value used: ")?;
    value.split_once(' ')?.0.parse().ok()
}

/// Which right was missing, where one was.
fn denied(what: &str, error: &lapin::Error) -> Option<String> {
    match error.kind() {
        ErrorKind::ProtocolError(error) if error.get_id() == ACCESS_REFUSED => {
            rights::denied(what, &error.get_message().to_string())
        }
        _ => None,
    }
}

/// A call that failed, and may go through the next time.
pub(crate) fn unreachable(what: &'static str, queue: &str, error: lapin::Error) -> Error {
    if let Some(cause) = denied(what, &error) {
        return Error::Refused {
            what,
            queue: queue.to_owned(),
            cause,
            source: Some(error.into()),
        };
    }
    Error::Unreachable {
        what,
        queue: queue.to_owned(),
        cause: cause(&error),
        source: Some(error.into()),
    }
}

/// A call that RabbitMQ answered with no.
pub(crate) fn refused(what: &'static str, queue: &str, cause: impl Into<String>) -> Error {
    Error::Refused {
        what,
        queue: queue.to_owned(),
        cause: cause.into(),
        source: None,
    }
}
