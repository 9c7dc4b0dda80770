//! Which messages of a route a handler takes.

use std::{
    borrow::Cow,
    fmt,
    str::{FromStr, Split},
};

use crate::{Error, message::Message};

/// Which messages of a route a handler takes, if the route has several handlers.
///
/// It is a pattern for the event type of the message: its header `event-type`, or its topic if it has no such header. `order.placed` matches that
/// name alone, `order.*` matches one more word, and `order.#` matches any number of words. `header:NAME=PATTERN` looks at another header.
///
/// ```
/// use loafer::{Message, policy::Selector};
///
/// # fn main() -> Result<(), loafer::Error> {
/// let orders: Selector = "order.*".parse()?;
/// assert!(orders.takes(&Message::new("").with_header("event-type", "order.placed")));
/// assert!(!orders.takes(&Message::new("").with_topic("invoice.issued")));
///
/// let urgent: Selector = "header:priority=high".parse()?;
/// assert!(urgent.takes(&Message::new("").with_header("priority", "high")));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    of: Of,
    pattern: Cow<'static, str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Of {
    EventType,
    Header(Cow<'static, str>),
}

impl Selector {
    /// Returns a selector of the messages whose event type matches this pattern. The pattern is not checked: an empty word in
    /// it matches only an empty word of the event type.
    pub fn event_type(pattern: impl Into<Cow<'static, str>>) -> Self {
        Self {
            of: Of::EventType,
            pattern: pattern.into(),
        }
    }

    /// Returns a selector of the messages that have this header, with a value that matches this pattern.
    pub fn header(
        name: impl Into<Cow<'static, str>>,
        pattern: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            of: Of::Header(name.into()),
            pattern: pattern.into(),
        }
    }

    /// Returns whether the handler takes this message. Its envelope must be open.
    pub fn takes(&self, message: &Message) -> bool {
        let name = match &self.of {
            Of::EventType => message.event_type(),
            Of::Header(name) => message.headers().get(name),
        };
        name.is_some_and(|name| topic_matches(&self.pattern, name))
    }

    /// Returns how specific the selector is. Of two handlers that take a message, the one with the greater weight gets it. More literal words are
    /// more specific; if they have equally many, fewer `#` are.
    #[must_use]
    pub fn weight(&self) -> (usize, std::cmp::Reverse<usize>) {
        let words = || self.pattern.split('.');
        let whole = words().filter(|word| !matches!(*word, "*" | "#")).count();
        let open = words().filter(|word| *word == "#").count();
        (whole, std::cmp::Reverse(open))
    }
}

impl FromStr for Selector {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let selector = match text.strip_prefix("header:") {
            Some(rest) => match rest.split_once('=') {
                Some((name, pattern)) if !name.is_empty() => {
                    Self::header(name.to_owned(), pattern.to_owned())
                }
                _ => return Err(unreadable(text)),
            },
            None => Self::event_type(text.to_owned()),
        };
        if selector.pattern.split('.').any(str::is_empty) {
            return Err(unreadable(text));
        }
        Ok(selector)
    }
}

fn unreadable(text: &str) -> Error {
    Error::Config(format!(
        "`on = {text:?}` matches nothing: write an event type, for example `order.placed`, a pattern, for example `order.*`, or `header:NAME=PATTERN`"
    ))
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.of {
            Of::EventType => f.write_str(&self.pattern),
            Of::Header(name) => write!(f, "header:{name}={}", self.pattern),
        }
    }
}

/// Returns whether a topic matches a pattern, word by word. Words are separated by `.`; `*` matches one word, and `#` any number of words.
///
/// These are the patterns of topic exchanges in AMQP 0-9-1 (section 3.1.3.3,
/// <https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf>).
///
/// ```
/// use loafer::policy::topic_matches;
///
/// assert!(topic_matches("order.*", "order.placed"));
/// assert!(topic_matches("order.#", "order"));
/// assert!(!topic_matches("order.*", "order.placed.late"));
/// ```
#[must_use]
pub fn topic_matches(pattern: &str, name: &str) -> bool {
    let (mut wanted, mut said) = (pattern.split('.'), name.split('.'));
    // The rest of the pattern after the last `#`, and the part of the name from which that rest was tried.
    let mut open: Option<(Split<'_, char>, Split<'_, char>)> = None;
    loop {
        let before = said.clone();
        match (wanted.next(), said.next()) {
            (Some("#"), _) => {
                open = Some((wanted.clone(), before.clone()));
                said = before;
            }
            (Some("*"), Some(_)) => {}
            (Some(word), Some(other)) if word == other => {}
            (None, None) => return true,
            _ => {
                // It does not match here: the last `#` takes one more word.
                let Some((after, tried)) = &mut open else {
                    return false;
                };
                if tried.next().is_none() {
                    return false;
                }
                (wanted, said) = (after.clone(), tried.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::EVENT_TYPE;

    fn takes(pattern: &str, event: &str) -> bool {
        let message = Message::new("").with_header(EVENT_TYPE, event);
        pattern.parse::<Selector>().unwrap().takes(&message)
    }

    #[test]
    fn words_are_matched_one_by_one() {
        for (pattern, event) in [
            ("order-placed", "order-placed"),
            ("order.*", "order.placed"),
            ("*.placed", "order.placed"),
            ("#", "anything"),
            ("#", "any.thing"),
            ("order.#", "order"),
            ("order.#", "order.placed.late"),
            ("#.late", "order.placed.late"),
            ("order.#.late", "order.late"),
            ("#.a.#.b", "x.a.y.a.z.b"),
            ("#.a.#", "a"),
        ] {
            assert!(takes(pattern, event), "{pattern} {event}");
        }
        for (pattern, event) in [
            ("order.*", "order"),
            ("order.*", "order.placed.late"),
            ("order.placed", "Order.placed"),
            ("order.#", "orders"),
            ("#.late", "order.placed"),
            ("#.a.#.b", "x.b.a"),
        ] {
            assert!(!takes(pattern, event), "{pattern} {event}");
        }
    }

    #[test]
    fn a_name_of_very_many_words_is_matched_all_the_same() {
        let name = vec!["a"; 100_000].join(".");
        assert!(takes("a.#", &name) && takes("#.a.#.a", &name));
        assert!(!takes("#.b", &name));
    }

    #[test]
    fn a_message_without_type_goes_by_its_topic_and_one_without_either_nowhere() {
        let selector: Selector = "#".parse().unwrap();
        assert!(selector.takes(&Message::new("").with_topic("orders")));
        assert!(!selector.takes(&Message::new("")));
    }

    #[test]
    fn a_selector_that_matches_nothing_is_an_error() {
        for text in [
            "",
            "order.",
            "header:",
            "header:kind",
            "header:=x",
            "header:kind=",
        ] {
            let error = text.parse::<Selector>().unwrap_err().to_string();
            assert!(error.contains("order.placed"), "{error}");
        }
    }

    #[test]
    fn the_one_that_says_more_weighs_more() {
        let weight = |pattern: &str| pattern.parse::<Selector>().unwrap().weight();
        assert!(weight("order.placed") > weight("order.*"));
        assert!(weight("order.*") > weight("order.#"));
        assert!(weight("order.#") > weight("*"));
        assert!(weight("*") > weight("#"));
    }
}
