//! The attribute's keys, each with its meaning.

use proc_macro2::{Ident, Span, TokenStream};
use syn::{LitStr, Path, Type};

use super::{
    entries::{Entry, entries_or},
    known::{KNOWN, unknown},
    options::lacks_provider,
    topics::topics,
};
use crate::{
    errors::Errors,
    handler::model::{Backoff, BrokerOption, GroupBy, On, Options, Undecodable, Unmatched},
};

/// What the attribute says.
#[derive(Default)]
pub(in crate::handler) struct Keys {
    /// Checked. `None` means that an error says what is wrong with it.
    pub(in crate::handler) route: Option<LitStr>,
    pub(in crate::handler) translator: Option<Type>,
    pub(in crate::handler) provider: Option<Type>,
    /// The keys of `options(…)`, which only the provider's broker knows.
    pub(in crate::handler) broker_options: Vec<BrokerOption>,
    pub(in crate::handler) options: Options,
    pub(in crate::handler) on: Option<On>,
    pub(in crate::handler) publish: Option<PublishKey>,
    /// The key `reply`, as it was written.
    pub(in crate::handler) reply: Option<Ident>,
    pub(in crate::handler) on_error: Option<Path>,
    /// The keys that are for batch handlers, as they were written.
    pub(in crate::handler) of_batches: Vec<Ident>,
    /// The key that set the lease, as it was written: it has two spellings.
    lease: Option<Ident>,
}

impl Keys {
    pub(in crate::handler) fn parse(attribute: TokenStream, errors: &mut Errors) -> Self {
        let mut keys = Self::default();
        let before = errors.count();
        let entries = entries_or(attribute, KNOWN, unknown, errors);
        // A misspelled key is one mistake, not two.
        if errors.count() == before {
            let find = |key| entries.iter().find(|entry| entry.key == key);
            if find("route").is_none() {
                errors.here(
                    Span::call_site(),
                    "a handler names its route: `#[handler(route = \"…\")]`",
                );
            }
            if let (Some(options), None) = (find("options"), find("provider")) {
                lacks_provider(options, errors);
            }
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
            "queue" => {
                options.queue = entry
                    .text("friend-created", errors)
                    .map(|queue| queue.value())
            }
            "topics" => options.topics = topics(entry, errors),
            "consumer" => {
                options.consumer = entry
                    .text("billing", errors)
                    .map(|consumer| consumer.value())
            }
            "concurrency" => options.concurrency = entry.whole(1, 10, errors),
            "prefetch" => options.prefetch = entry.whole(0, 10, errors),
            "lease" | "visibility_timeout" => self.set_lease(entry, errors),
            "timeout" => options.timeout = entry.some_time("20s", TIMEOUT, errors),
            "backoff" => options.backoff = Backoff::parse(entry, errors),
            "max_attempts" => options.max_attempts = entry.whole(1, 5, errors),
            "max_deliveries" => options.max_deliveries = entry.whole(4, 20, errors),
            "undecodable" => {
                let words = [
                    ("retry", Undecodable::Retry),
                    ("reject", Undecodable::Reject),
                ];
                options.undecodable = entry.word(&words, errors);
            }
            "unmatched" => {
                let words = [
                    ("retry", Unmatched::Retry),
                    ("reject", Unmatched::Reject),
                    ("ignore", Unmatched::Ignore),
                ];
                options.unmatched = entry.word(&words, errors);
            }
            "group_by" => options.group_by = GroupBy::parse(entry, errors),
            "on" => self.on = On::parse(entry, errors),
            "publish" => self.publish = PublishKey::parse(entry, errors),
            "reply" => self.reply = reply(entry, errors),
            "batch" => {
                self.of_batches.push(entry.key.clone());
                options.batch = entry.whole(1, 10, errors);
            }
            "linger" => {
                self.of_batches.push(entry.key.clone());
                options.linger = entry.duration("200ms", errors);
            }
            "on_error" => {
                self.on_error =
                    entry.read("the path of a function, as `on_error = give_up`", errors)
            }
            _ => self.broker_options = BrokerOption::list(entry, errors),
        }
    }

    fn set_lease(&mut self, entry: &Entry, errors: &mut Errors) {
        let key = entry.key.clone();
        match self.lease.replace(key) {
            None => self.options.lease = entry.some_time("60s", LEASE, errors),
            Some(first) => errors.at(
                &entry.key,
                format!(
                    "`{}` is `{first}` by another name: leave one of them out",
                    entry.key
                ),
            ),
        }
    }
}

const LEASE: &str = "no message could ever be handled in time; leave it out for the queue's own";
const TIMEOUT: &str = "no handler could ever finish; leave it out for no limit";

fn route(entry: &Entry, errors: &mut Errors) -> Option<LitStr> {
    let route = entry.text("friend-created", errors)?;
    let spaced = route.value().contains(char::is_whitespace);
    if spaced {
        let cure = route
            .value()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join("-");
        errors.at(
            &route,
            format!("a route's name has no white space: write {cure:?}"),
        );
    }
    (!spaced).then_some(route)
}

/// `publish`, with a topic or without.
pub(in crate::handler) struct PublishKey {
    pub(in crate::handler) topic: Option<LitStr>,
}

impl PublishKey {
    fn parse(entry: &Entry, errors: &mut Errors) -> Option<Self> {
        let topic = match entry.value.is_empty() {
            true => None,
            false => Some(entry.text("friend-created", errors)?),
        };
        Some(Self { topic })
    }
}

/// Reads `reply`, which has no value.
fn reply(entry: &Entry, errors: &mut Errors) -> Option<Ident> {
    if !entry.value.is_empty() {
        errors.at(
            &entry.value,
            "`reply` has no value: a reply goes to whoever sent the request",
        );
    }
    Some(entry.key.clone())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use quote::quote;

    use super::*;

    fn parsed(attribute: TokenStream) -> Keys {
        let mut errors = Errors::default();
        let keys = Keys::parse(attribute, &mut errors);
        assert_eq!(errors.texts(), Vec::<String>::new());
        keys
    }

    fn errors_of(attribute: TokenStream) -> Vec<String> {
        let mut errors = Errors::default();
        _ = Keys::parse(attribute, &mut errors);
        errors.texts()
    }

    #[test]
    fn every_key_is_read() {
        let keys = parsed(quote! {
            route = "friend-created", translator = Sns, provider = Sqs, queue = "friends", concurrency = 5, prefetch = 0,
            lease = "60s", timeout = "1m 30s", backoff = "1s", max_attempts = 3, undecodable = "reject",
            batch = 25, linger = "200ms", topics = ["a", "b"], consumer = "billing", on_error = crate::give_up,
            on = "order.*", unmatched = "ignore", group_by = "header:tenant",
        });
        assert_eq!(
            keys.route.map(|route| route.value()),
            Some("friend-created".to_owned())
        );
        assert!(keys.translator.is_some() && keys.provider.is_some() && keys.on_error.is_some());
        let options = keys.options;
        assert_eq!(options.queue.as_deref(), Some("friends"));
        assert_eq!(
            (options.concurrency, options.prefetch, options.max_attempts),
            (Some(5), Some(0), Some(3))
        );
        assert_eq!(options.lease, Some(Duration::from_secs(60)));
        assert_eq!(options.timeout, Some(Duration::from_secs(90)));
        assert_eq!(
            options.backoff.map(|backoff| backoff.initial),
            Some(Duration::from_secs(1))
        );
        assert_eq!(options.undecodable, Some(Undecodable::Reject));
        assert_eq!(options.unmatched, Some(Unmatched::Ignore));
        assert_eq!(options.group_by, Some(GroupBy::Header("tenant".to_owned())));
        assert_eq!(keys.on, Some(On::EventType("order.*".to_owned())));
        assert_eq!(
            (options.batch, options.linger),
            (Some(25), Some(Duration::from_millis(200)))
        );
        assert_eq!(keys.of_batches.len(), 2);
        assert_eq!(options.topics, Some(vec!["a".into(), "b".into()]));
        assert_eq!(options.consumer.as_deref(), Some("billing"));
    }

    #[test]
    fn a_backoff_is_read_in_parentheses_and_in_braces() {
        let expected = Backoff {
            initial: Duration::from_millis(500),
            factor: Some(2.0),
            max: Some(Duration::from_secs(900)),
            jitter: Some(false),
        };
        let parentheses = quote!(
            route = "a",
            backoff(initial = "500ms", factor = 2, max = "15m", jitter = false)
        );
        assert_eq!(
            parsed(parentheses).options.backoff.as_ref(),
            Some(&expected)
        );
        let braces = quote!(route = "a", backoff = { jitter = false, max = "15m", factor = 2.0, initial = "500ms" });
        assert_eq!(parsed(braces).options.backoff.as_ref(), Some(&expected));
    }

    #[test]
    fn all_mistakes_are_reported() {
        let errors = errors_of(quote!(
            rout = "a",
            concurrency = 0,
            timeout = "20",
            undecodable = ack
        ));
        assert_eq!(errors.len(), 4, "{errors:?}");
    }

    #[test]
    fn a_misspelled_route_is_one_mistake() {
        let errors = errors_of(quote!(rout = "a"));
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(
            errors[0].starts_with("unknown key `rout`: did you mean `route`?"),
            "{errors:?}"
        );
    }

    #[test]
    fn a_lease_has_two_spellings_and_one_value() {
        let keys = parsed(quote!(route = "a", visibility_timeout = "60s"));
        assert_eq!(keys.options.lease, Some(Duration::from_secs(60)));
        let errors = errors_of(quote!(
            route = "a",
            visibility_timeout = "60s",
            lease = "30s"
        ));
        assert_eq!(
            errors,
            ["`lease` is `visibility_timeout` by another name: leave one of them out"]
        );
    }

    #[test]
    fn numbers_beyond_their_type_are_refused() {
        assert_eq!(
            errors_of(quote!(route = "a", max_attempts = 4_294_967_296)).len(),
            1
        );
    }
}
