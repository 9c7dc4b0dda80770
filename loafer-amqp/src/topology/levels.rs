//! Delay levels: the delay queues of publish delays beyond the longest step. Only RabbitMQ delays a message by where it waits.
//!
//! Level `n` is a queue in which messages wait 2ⁿ seconds, and an exchange of the same name before it. The routing key of a message has one word for
//! each level, the highest first: `1` if it waits there, `0` if not. The last word is the delay queue that it goes to in the end, which is that of its
//! target alone. So a delay of any length takes one stay in some of the levels, in each of which all messages wait equally long, and a target that
//! takes nothing holds up nobody else.

use std::time::Duration;

use percent_encoding::{AsciiSet, utf8_percent_encode};

/// How many levels there are. Together they delay by 388 days.
const LEVELS: u32 = 25;

/// The exchange that messages come to behind the last level. It knows the delay queues of the targets.
pub(super) const DUE: &str = "loafer.delay.due";

/// The exchange and the queue of messages whose delay queue is gone. Otherwise they would hold up the level that they come from.
pub(super) const LOST: &str = "loafer.delay.lost";

/// What is written as `%XX` in a word of a routing key: what ends the word, what would stand for other words, and the `%` itself.
const IN_WORD: &AsciiSet = &AsciiSet::EMPTY.add(b'.').add(b'*').add(b'#').add(b'%');

/// Returns the levels that delays of so many seconds pass through: all up to the highest in which they wait.
pub(crate) fn levels(seconds: u32) -> std::ops::RangeInclusive<u32> {
    0..=seconds.max(1).ilog2().min(LEVELS - 1)
}

/// Returns the exchange and the routing key with which a message waits so many seconds and then goes to a delay queue.
pub(crate) fn entry(seconds: u32, then: &str) -> (String, String) {
    let bits: String = (0..LEVELS)
        .rev()
        .map(|level| match seconds >> level & 1 {
            1 => "1.",
            _ => "0.",
        })
        .collect();
    (
        name(*levels(seconds).end()),
        format!("{bits}{}", word(then)),
    )
}

/// Returns the name of a level: of its queue, and of the exchange before it.
pub(super) fn name(level: u32) -> String {
    format!("loafer.delay.{}s", wait(level).as_secs())
}

/// Returns the exchange behind a level.
pub(super) fn behind(level: u32) -> String {
    level.checked_sub(1).map_or_else(|| DUE.to_owned(), name)
}

/// Returns how long messages wait in a level.
pub(super) fn wait(level: u32) -> Duration {
    Duration::from_secs(1 << level)
}

/// Returns what matches the routing keys of the messages that wait in a level, or of those that do not.
pub(super) fn pattern(level: u32, waits: bool) -> String {
    let higher = "*.".repeat((LEVELS - 1 - level) as usize);
    format!("{higher}{}.#", u8::from(waits))
}

/// Returns what matches the routing keys of the messages that go to a delay queue in the end.
pub(super) fn pattern_of(then: &str) -> String {
    format!("#.{}", word(then))
}

/// Returns the name of a queue as one word of a routing key.
fn word(queue: &str) -> String {
    utf8_percent_encode(queue, IN_WORD).to_string()
}

#[cfg(test)]
mod tests {
    use loafer_core::{broker::DueTime, policy::topic_matches};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Follows a message from level to level by the bindings.
        #[test]
        fn any_delay_is_the_sum_of_its_levels(seconds in 1_u32..31_622_400, then in "[a-z.*#/%é]{1,20}") {
            let (mut at, key) = entry(seconds, &then);
            let mut waited = Duration::ZERO;
            for level in levels(seconds).rev() {
                prop_assert_eq!(&at, &name(level));
                let waits = topic_matches(&pattern(level, true), &key);
                prop_assert_ne!(waits, topic_matches(&pattern(level, false), &key));
                if waits {
                    waited += wait(level);
                }
                at = behind(level);
            }
            prop_assert_eq!(at, DUE);
            prop_assert_eq!(waited.as_secs(), u64::from(seconds));
            prop_assert!(topic_matches(&pattern_of(&then), &key));
            let other = pattern_of(&format!("a.{then}"));
            prop_assert!(!topic_matches(&other, &key));
        }
    }

    #[test]
    fn the_levels_are_enough_for_the_longest_delay() {
        let all: u64 = (0..LEVELS).map(|level| wait(level).as_secs()).sum();
        assert!(all >= DueTime::LONGEST.as_secs());
    }
}
