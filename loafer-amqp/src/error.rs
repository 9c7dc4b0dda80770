//! What the broker and the client say, made short.

use lapin::ErrorKind;
use loafer_core::Error;

/// RabbitMQ's own codes (AMQP 0-9-1, constants).
pub(crate) const ACCESS_REFUSED: u16 = 403;
pub(crate) const NOT_FOUND: u16 = 404;
pub(crate) const RESOURCE_LOCKED: u16 = 405;
pub(crate) const PRECONDITION_FAILED: u16 = 406;

/// The code of an answer that closed a channel or the connection.
pub(crate) fn code(error: &lapin::Error) -> Option<u16> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => Some(error.get_id()),
        _ => None,
    }
}

/// What happened, in a few words; of what the broker said, its own.
pub(crate) fn cause(error: &lapin::Error) -> String {
    match error.kind() {
        ErrorKind::ProtocolError(error) => {
            let text = error.get_message().to_string();
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

/// A call that failed, and may go through the next time.
pub(crate) fn unreachable(what: &'static str, queue: &str, error: lapin::Error) -> Error {
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
