//! The attribute's keys, each with its meaning.

use proc_macro2::{Span, TokenStream};
use syn::{LitStr, Path, Type};

use super::entries::{Entry, entries};
use crate::{
    errors::Errors,
    handler::model::{Backoff, Options, Undecodable},
};

const KNOWN: &[&str] = &[
    "route",
    "translator",
    "provider",
    "queue",
    "concurrency",
    "prefetch",
    "visibility_timeout",
    "timeout",
    "backoff",
    "max_attempts",
    "undecodable",
    "on_error",
];

/// What the attribute says.
#[derive(Default)]
pub(in crate::handler) struct Keys {
    /// Checked: none only beside an error.
    pub(in crate::handler) route: Option<LitStr>,
    pub(in crate::handler) translator: Option<Type>,
    pub(in crate::handler) provider: Option<Type>,
    pub(in crate::handler) options: Options,
    pub(in crate::handler) on_error: Option<Path>,
}

impl Keys {
    pub(in crate::handler) fn parse(attribute: TokenStream, errors: &mut Errors) -> Self {
        let mut keys = Self::default();
        let before = errors.count();
        let entries = entries(attribute, KNOWN, errors);
        // A misspelled `route` is one mistake, not two.
        if errors.count() == before && !entries.iter().any(|entry| entry.key == "route") {
            errors.here(Span::call_site(), "a handler names its route: `#[handler(route = \"…\")]`");
        }
        for entry in &entries {
            keys.set(entry, errors);
        }
        keys
    }

    fn set(&mut self, entry: &Entry, errors: &mut Errors) {
        let options = &mut self.options;
        match entry.key.to_string().as_str() {
            "route" => self.route = route(entry, errors),
            "translator" => self.translator = entry.read("a type, as `translator = Json`", errors),
            "provider" => self.provider = entry.read("a type, as `provider = Memory`", errors),
            "queue" => options.queue = entry.text("friend-created", errors).map(|queue| queue.value()),
            "concurrency" => options.concurrency = entry.whole(1, 10, errors),
            "prefetch" => options.prefetch = entry.whole(0, 10, errors),
            "visibility_timeout" => options.visibility_timeout = entry.some_time("60s", VISIBILITY_TIMEOUT, errors),
            "timeout" => options.timeout = entry.some_time("20s", TIMEOUT, errors),
            "backoff" => options.backoff = Backoff::parse(entry, errors),
            "max_attempts" => options.max_attempts = entry.whole(1, 5, errors),
            "undecodable" => {
                let words = [("retry", Undecodable::Retry), ("reject", Undecodable::Reject)];
                options.undecodable = entry.word(words, errors);
            }
            _ => self.on_error = entry.read("the path of a function, as `on_error = give_up`", errors),
        }
    }
}

const VISIBILITY_TIMEOUT: &str = "no message could ever be handled in time; leave it out for the queue's own";
const TIMEOUT: &str = "no handler could ever finish; leave it out for no limit";

fn route(entry: &Entry, errors: &mut Errors) -> Option<LitStr> {
    let route = entry.text("friend-created", errors)?;
    let spaced = route.value().contains(char::is_whitespace);
    if spaced {
        let cure = route.value().split_whitespace().collect::<Vec<_>>().join("-");
        errors.at(&route, format!("a route's name has no white space: write {cure:?}"));
    }
    (!spaced).then_some(route)
}
