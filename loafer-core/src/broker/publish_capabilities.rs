//! What a publisher can do.

use std::{fmt, time::Duration};

use humantime::format_duration;

use crate::message::Outgoing;

/// What a publisher can do with the messages of one topic.
///
/// It has all public fields, so that a publisher names what differs from the [default](Self::default) and leaves the rest:
///
/// ```
/// use std::time::Duration;
/// use loafer::broker::PublishCapabilities;
///
/// let text_only = PublishCapabilities {
///     max_bytes: Some(256 * 1024),
///     max_delay: Some(Duration::ZERO),
///     binary: false,
///     ..PublishCapabilities::default()
/// };
/// assert_eq!(text_only.to_string(), "up to 256 KiB, any number of headers, text only, no delay, no order, 1 message a call");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishCapabilities {
    /// How many bytes a message can have, with its headers where the broker counts them. `None`, the default, means that no limit is known.
    pub max_bytes: Option<usize>,
    /// How long the delay of a message can be. Zero means that there are no delays. `None`, the default, means that no limit is known.
    pub max_delay: Option<Duration>,
    /// How many headers a message can have. `None`, the default, means that no limit is known.
    pub headers: Option<usize>,
    /// Whether payloads that are not UTF-8 go as they are. The default is `true`.
    pub binary: bool,
    /// Whether the messages of a group stay in order. The default is `false`.
    pub ordered: bool,
    /// How many messages one call carries at most. The default is 1.
    pub batch: usize,
}

impl PublishCapabilities {
    /// Returns why a message can't be published, and what the limit is. `None` means that these capabilities don't forbid it.
    ///
    /// A publisher asks it before its call, so that a message that can't be published costs no call. It counts the bytes of the payload alone, and
    /// no header that is [optional](Outgoing::optional).
    #[must_use]
    pub fn refusal(&self, outgoing: &Outgoing) -> Option<String> {
        let payload = outgoing.message.payload();
        if let Some(most) = self.max_bytes.filter(|most| payload.len() > *most) {
            return Some(format!("{} bytes: {most} is the most", payload.len()));
        }
        if !self.binary && std::str::from_utf8(payload).is_err() {
            return Some(
                "the payload is not UTF-8, and only text is carried: encode it, as `encoding = Base64<…>` of an event does"
                    .to_owned(),
            );
        }
        let delay = outgoing.delay.unwrap_or_default();
        if let Some(longest) = self.max_delay.filter(|longest| delay > *longest) {
            let delay = format_duration(delay);
            return Some(match longest.is_zero() {
                true => format!("a delay of {delay}: there are no delays here"),
                false => format!("a delay of {delay}: {} is the longest", shown(longest)),
            });
        }
        let headers = outgoing.message.headers().iter();
        let needed = headers.filter(|(name, _)| !outgoing.optional.contains(name));
        let (needed, most) = (needed.count(), self.headers?);
        (needed > most).then(|| format!("{needed} headers: {most} is the most"))
    }
}

impl Default for PublishCapabilities {
    /// Returns the capabilities of a publisher that says nothing of itself: it refuses nothing beforehand, and promises neither order nor batches.
    fn default() -> Self {
        Self {
            max_bytes: None,
            max_delay: None,
            headers: None,
            binary: true,
            ordered: false,
            batch: 1,
        }
    }
}

/// Shows them as the command `check` does.
impl fmt::Display for PublishCapabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.max_bytes {
            Some(bytes) if bytes % 1024 == 0 => write!(f, "up to {} KiB, ", bytes / 1024)?,
            Some(bytes) => write!(f, "up to {bytes} bytes, ")?,
            None => f.write_str("any size, ")?,
        }
        match self.headers {
            Some(headers) => write!(f, "{headers} headers, ")?,
            None => f.write_str("any number of headers, ")?,
        }
        f.write_str(if self.binary {
            "binary, "
        } else {
            "text only, "
        })?;
        match self.max_delay {
            Some(Duration::ZERO) => f.write_str("no delay, ")?,
            Some(longest) => write!(f, "delays up to {}, ", shown(longest))?,
            None => f.write_str("any delay, ")?,
        }
        let order = if self.ordered {
            "groups in order"
        } else {
            "no order"
        };
        let plural = if self.batch == 1 { "" } else { "s" };
        write!(f, "{order}, {} message{plural} a call", self.batch)
    }
}

/// Returns the longest delay as people say it: whole days as days.
fn shown(longest: Duration) -> String {
    match longest.as_secs() {
        seconds if seconds >= 86_400 && seconds % 86_400 == 0 => {
            format!("{} days", seconds / 86_400)
        }
        _ => format_duration(longest).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;

    fn refusal(outgoing: &Outgoing) -> String {
        let modest = PublishCapabilities {
            max_bytes: Some(4),
            max_delay: Some(Duration::from_secs(900)),
            headers: Some(1),
            binary: false,
            ..PublishCapabilities::default()
        };
        assert_eq!(PublishCapabilities::default().refusal(outgoing), None);
        modest.refusal(outgoing).unwrap_or_default()
    }

    #[test]
    fn what_goes_beyond_a_limit_is_refused_with_the_limit() {
        let plain = || Outgoing::new(Message::new("1234"));
        assert_eq!(
            refusal(&plain().header("a", "1").delay(Duration::from_secs(900))),
            ""
        );
        assert_eq!(
            refusal(&Message::new("12345").into()),
            "5 bytes: 4 is the most"
        );
        assert!(refusal(&Message::new(&b"\xff"[..]).into()).contains("not UTF-8"));
        let late = plain().delay(Duration::from_secs(901));
        assert_eq!(refusal(&late), "a delay of 15m 1s: 15m is the longest");
        let mut two = plain().header("a", "1").header("b", "2");
        assert_eq!(refusal(&two), "2 headers: 1 is the most");
        two.optional.push("b");
        assert_eq!(refusal(&two), "");
    }
}
