//! Which messages of a route a handler takes.

use std::{
    borrow::Cow,
    fmt,
    str::{FromStr, Split},
};

use crate::{Error, message::Message};

/// Which messages of a route a handler takes, where the route has several handlers.
///
/// A pattern of the message's event type: its header `event-type`, or the topic it came by where it has none. `order.placed` is that one,
/// `order.*` has any one word more, `order.#` any number of words. `header:NAME=PATTERN` asks another header.
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
    /// Those whose event type fits this pattern. A pattern with an empty word fits nothing.
    pub fn event_type(pattern: impl Into<Cow<'static, str>>) -> Self {
        Self {
            of: Of::EventType,
            pattern: pattern.into(),
        }
    }

    /// Those that have this header, with a value that fits this pattern.
    pub fn header(
        name: impl Into<Cow<'static, str>>,
        pattern: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            of: Of::Header(name.into()),
            pattern: pattern.into(),
        }
    }

    /// Whether a handler takes this message, its envelope opened.
    pub fn takes(&self, message: &Message) -> bool {
        let name = match &self.of {
            Of::EventType => message.event_type(),
            Of::Header(name) => message.headers().get(name),
        };
        name.is_some_and(|name| topic_matches(&self.pattern, name))
    }

    /// Returns how specific the selector is: of two handlers that take a message, the greater one gets it. More literal words are more specific, then fewer `#`.
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
        "`on = {text:?}` selects nothing: write an event type, as `order.placed`, a pattern of one, as `order.*`, or `header:NAME=PATTERN`"
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

/// Returns whether a topic matches a pattern, word by word: `*` is one word, `#` any number of them.
#[must_use]
pub fn topic_matches(pattern: &str, name: &str) -> bool {
    let (mut wanted, mut said) = (pattern.split('.'), name.split('.'));
    // After the last `#`: what is wanted, and where in the name that was tried.
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
                // The last `#` takes one word more.
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
    fn what_selects_nothing_is_told() {
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
