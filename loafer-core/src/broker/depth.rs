//! How much a queue holds.

use std::{fmt, time::Duration};

/// How much a queue holds, as far as its broker tells: see [`Provider::depth`](crate::broker::Provider::depth). `None` means that it does not.
///
/// A broker may count approximately. It is displayed as one line without the queue's name, such as `12 ready, 3 in flight`, which is empty if
/// nothing is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Depth {
    /// The number of messages that can be received now.
    pub ready: Option<u64>,
    /// The number of messages that consumers have and did not settle, those of other processes among them.
    pub in_flight: Option<u64>,
    /// The number of messages that become ready later: sent with a delay, or retried after one.
    pub delayed: Option<u64>,
    /// How long ago the oldest of all these messages was sent.
    pub oldest: Option<Duration>,
}

impl fmt::Display for Depth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            (self.ready, "ready"),
            (self.in_flight, "in flight"),
            (self.delayed, "delayed"),
        ];
        let counts = counts
            .into_iter()
            .filter_map(|(count, what)| Some(format!("{} {what}", count?)));
        let oldest = self
            .oldest
            .map(|age| format!("the oldest sent {}s ago", age.as_secs()));
        f.write_str(&counts.chain(oldest).collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_is_shown() {
        let mut depth = Depth::default();
        assert_eq!(depth.to_string(), "");
        (depth.ready, depth.delayed) = (Some(12), Some(0));
        assert_eq!(depth.to_string(), "12 ready, 0 delayed");
        depth.oldest = Some(Duration::from_millis(61_500));
        assert_eq!(
            depth.to_string(),
            "12 ready, 0 delayed, the oldest sent 61s ago"
        );
    }
}
