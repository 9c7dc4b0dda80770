//! Errors of RabbitMQ and of its client, in few words and with what to do.

use std::time::Duration;

use humantime::format_duration;
use lapin::ErrorKind;
use loafer_core::Error;

/// Reply codes of RabbitMQ (AMQP 0-9-1, constants).
pub(crate) const ACCESS_REFUSED: u16 = 403;
pub(crate) const NOT_FOUND: u16 = 404;
pub(crate) const RESOURCE_LOCKED: u16 = 405;
pub(crate) const PRECONDITION_FAILED: u16 = 406;
pub(crate) const NOT_ALLOWED: u16 = 530;

/// Returns the reply code of an error that closed a channel or the connection. `None` means that RabbitMQ sent no such answer.
pub(crate) fn code(error: &lapin::Error) -> Option<u16> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => Some(error.get_id()),
        _ => None,
    }
}

/// Returns what happened, in RabbitMQ's own words if it said why.
pub(crate) fn cause(error: &lapin::Error) -> String {
    if let Some(denied) = denied("", error) {
        return denied;
    }
    match error.kind() {
        ErrorKind::ProtocolError(error) => {
            let text = error.get_message().to_string();
            // "PRECONDITION_FAILED - inequivalent arg …": the name of the code adds nothing.
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

/// Returns why the channel of a consumer ended. `section` is the one of `loafer.toml` for the broker instance.
pub(crate) fn end_of_consumer(error: &lapin::Error, section: &str) -> String {
    let timeout = match error.kind() {
        ErrorKind::ProtocolError(error) => consumer_timeout(error.get_message().as_str()),
        _ => None,
    };
    let Some(millis) = timeout else {
        return cause(error);
    };
    format!(
        "RabbitMQ took back every unsettled message of this route, since one was not settled within its `consumer_timeout` of {}: they are redelivered. Set \
         the route's `timeout` below that, or raise `consumer_timeout` in rabbitmq.conf and say so by `consumer_timeout` under [{section}] in loafer.toml",
        format_duration(Duration::from_millis(millis))
    )
}

/// Returns the `consumer_timeout` in milliseconds if RabbitMQ closed a channel for it: "delivery acknowledgement on channel 1 timed out. Timeout
/// value used: 1800000 ms. …"
fn consumer_timeout(text: &str) -> Option<u64> {
    let (_, rest) = text.split_once("delivery acknowledgement on channel")?;
    let (_, value) = rest.split_once("Timeout value used: ")?;
    value.split_once(' ')?.0.parse().ok()
}

/// Returns RabbitMQ's `max_message_size` if a message was refused for it: "message size 2097166 is larger than configured max size 1048576", and "larger
/// than max size" before RabbitMQ 4.
pub(crate) fn max_message_size(cause: &str) -> Option<usize> {
    let (_, rest) = cause.split_once("is larger than")?;
    let (_, size) = rest.split_once("max size ")?;
    let end = size.find(|c: char| !c.is_ascii_digit());
    size[..end.unwrap_or(size.len())].parse().ok()
}

/// Returns which right was missing. `None` means that the error is about something else.
fn denied(what: &str, error: &lapin::Error) -> Option<String> {
    match error.kind() {
        ErrorKind::ProtocolError(error) if error.get_id() == ACCESS_REFUSED => {
            lacking(what, &error.get_message().to_string())
        }
        _ => None,
    }
}

/// Returns the error of a call that failed and may succeed the next time, or a refusal if a right is missing.
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

/// Returns the error of a call that RabbitMQ refused.
pub(crate) fn refused(what: &'static str, queue: &str, cause: impl Into<String>) -> Error {
    Error::Refused {
        what,
        queue: queue.to_owned(),
        cause: cause.into(),
        source: None,
    }
}

/// RabbitMQ's answer 403 about a missing right: "write access to exchange 'event' in vhost '/' refused for user 'billing'". The first word is missing
/// before RabbitMQ 3.13.
///
/// A user has three rights in a virtual host, each a pattern of names: configure, write, read (RabbitMQ docs, "Access Control").
struct Denied<'t> {
    /// `None` means that RabbitMQ does not say which one.
    right: Option<&'t str>,
    /// `queue` or `exchange`.
    kind: &'t str,
    name: &'t str,
    vhost: &'t str,
    user: &'t str,
}

impl<'t> Denied<'t> {
    fn read(text: &'t str) -> Option<Self> {
        let (right, resource) = text.split_once("access to ")?;
        let (kind, rest) = resource.split_once(" '")?;
        let (name, rest) = rest.split_once("' in vhost '")?;
        let (vhost, rest) = rest.split_once("' refused for user '")?;
        let rights = ["configure", "write", "read"];
        let word = right.trim().rsplit(' ').next();
        Some(Self {
            right: word.filter(|word| rights.contains(word)),
            kind,
            name,
            vhost,
            user: rest.split_once('\'')?.0,
        })
    }

    /// Returns the missing right: the one RabbitMQ names, else the one that this call needs on this resource.
    fn right(&self, what: &str) -> &'t str {
        match (self.right, self.kind) {
            (Some(right), _) => right,
            (None, "queue") if what == "binding" => "write",
            (None, "queue") if what.starts_with("declaring") => "configure",
            (None, "queue") => "read",
            (None, _) if what == "binding" => "read",
            (None, _) if what == "declaring the exchange" => "configure",
            (None, _) => "write",
        }
    }
}

/// Returns which right is missing on what, and how to grant it. `None` means that RabbitMQ's text is about something else.
fn lacking(what: &str, text: &str) -> Option<String> {
    let denied = Denied::read(text)?;
    let Denied {
        kind,
        name,
        vhost,
        user,
        ..
    } = denied;
    let right = denied.right(what);
    let named = match (kind, name) {
        ("exchange", "amq.default") => "the default exchange, which is called".to_owned(),
        _ => format!("the {kind}"),
    };
    // Declaring a queue that has a dead-letter target takes `read`, too. Only if RabbitMQ does not name the right is it a guess.
    let or = match (denied.right, right) {
        (None, "configure") if kind == "queue" => " (or `read`, for its dead letters)",
        _ => "",
    };
    Some(format!(
        "user `{user}` lacks the right `{right}`{or} on {named} `{name}`: give it by `rabbitmqctl set_permissions -p {vhost} {user} CONFIGURE WRITE READ`, which sets \
         all three patterns of names anew; that one must match `{name}`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "ACCESS_REFUSED - access to queue 'paid' in vhost '/' refused for user 'ana'";
    const NEW: &str = "write access to exchange 'event' in vhost 'shop' refused for user 'ana'";

    #[test]
    fn a_right_is_named_with_its_resource_and_its_remedy() {
        let text = lacking("consuming", OLD).unwrap();
        assert!(text.contains("lacks the right `read` on the queue `paid`"));
        assert!(text.contains("set_permissions -p / ana "), "{text}");
        let text = lacking("binding", OLD).unwrap();
        assert!(text.contains("`write` on the queue `paid`"), "{text}");
        let text = lacking("anything", NEW).unwrap();
        assert!(text.contains("`write` on the exchange `event`"), "{text}");
        assert!(text.contains("set_permissions -p shop ana "), "{text}");
    }

    #[test]
    fn the_largest_message_is_read_from_its_refusal() {
        let old = "RabbitMQ answered 406: message size 2097166 is larger than max size 1048576";
        let new = "message size 2097166 is larger than configured max size 16777216, mend it";
        assert_eq!(max_message_size(old), Some(1_048_576));
        assert_eq!(max_message_size(new), Some(16_777_216));
        assert_eq!(max_message_size("invalid expiration 'never'"), None);
    }

    #[test]
    fn an_answer_about_something_else_is_left_as_it_is() {
        let other = "queue 'paid' in vhost '/' in exclusive use";
        assert!(lacking("consuming", other).is_none());
    }
}
