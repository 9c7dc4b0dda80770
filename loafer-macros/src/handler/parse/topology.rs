//! The keys that say where a queue hangs, and how it is made.

use syn::{
    Expr, ExprArray, ExprLit, Lit, LitStr,
    parse::{Parse, ParseStream},
};

use super::entries::{Entry, entries};
use crate::{
    errors::Errors,
    handler::model::{Argument, DeadLetter, Declare, QueueType, Topology},
};

const BINDING: &str = "a routing key or a list of them, as `binding = \"order.*\"` or `binding = [\"order.closed\", \"order.paid\"]`";

const DEAD_LETTER: &str = "an exchange and a routing key, as `dead_letter(exchange = \"amq.direct\", routing_key = \"dead\")`";

impl Topology {
    /// Takes in one of its keys.
    pub(super) fn set(&mut self, entry: &Entry, errors: &mut Errors) {
        match entry.key.to_string().as_str() {
            "exchange" => self.exchange = exchange(entry, errors),
            "binding" => self.binding = binding(entry, errors),
            "queue_type" => {
                let words = [
                    ("quorum", QueueType::Quorum),
                    ("classic", QueueType::Classic),
                ];
                self.queue_type = entry.word(&words, errors);
            }
            "arguments" => self.arguments = Argument::list(entry, errors),
            "declare" => {
                let words = [
                    ("create", Declare::Create),
                    ("verify", Declare::Verify),
                    ("off", Declare::Off),
                ];
                self.declare = entry.word(&words, errors);
            }
            _ => self.dead_letter = DeadLetter::parse(entry, errors),
        }
    }
}

/// An empty one is the broker's word for none.
fn exchange(entry: &Entry, errors: &mut Errors) -> Option<String> {
    let text: LitStr = entry.read("a string, as `exchange = \"event\"`", errors)?;
    Some(text.value())
}

/// A string, or several between brackets.
struct Keys(Vec<LitStr>);

impl Parse for Keys {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(LitStr) {
            return Ok(Self(vec![input.parse()?]));
        }
        let list: ExprArray = input.parse()?;
        let keys = list.elems.into_iter().map(|key| match key {
            Expr::Lit(ExprLit {
                lit: Lit::Str(key), ..
            }) => Ok(key),
            other => Err(syn::Error::new_spanned(other, "no string")),
        });
        keys.collect::<syn::Result<_>>().map(Self)
    }
}

fn binding(entry: &Entry, errors: &mut Errors) -> Option<Vec<String>> {
    let Keys(keys) = entry.read(BINDING, errors)?;
    let nothing = "to bind the queue to nothing write `exchange = \"\"`";
    if keys.is_empty() {
        let what = format!("`binding` is an empty list: name a routing key; {nothing}");
        errors.at(&entry.value, what);
        return None;
    }
    let before = errors.count();
    for (at, key) in keys.iter().enumerate() {
        if key.value().is_empty() {
            let what = format!("a routing key of `binding` is empty: name one; {nothing}");
            errors.at(key, what);
        } else if keys[..at].iter().any(|known| known.value() == key.value()) {
            errors.at(key, format!("{:?} is in `binding` twice", key.value()));
        }
    }
    (errors.count() == before).then(|| keys.iter().map(LitStr::value).collect())
}

impl DeadLetter {
    fn parse(entry: &Entry, errors: &mut Errors) -> Option<Self> {
        let Some(list) = entry.list() else {
            entry.refuse(DEAD_LETTER, errors);
            return None;
        };
        let (mut to, mut routing_key, mut named) = (Some(String::new()), None, false);
        let mut queue = Some(None);
        let before = errors.count();
        for entry in entries(list, &["routing_key", "exchange", "queue"], errors) {
            match entry.key.to_string().as_str() {
                "exchange" => to = exchange(&entry, errors),
                "queue" => queue = entry.text("dead", errors).map(|queue| Some(queue.value())),
                _ => (named, routing_key) = (true, entry.text("dead", errors)),
            }
        }
        // A misspelled one is one mistake, not two.
        if !named && errors.count() == before {
            errors.at(
                &entry.key,
                "`dead_letter` lacks its routing key: add `routing_key = \"…\"`; without an exchange it is the name of a queue",
            );
        }
        Some(Self {
            exchange: to?,
            routing_key: routing_key?.value(),
            queue: queue?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proc_macro2::TokenStream;
    use quote::quote;

    use super::*;
    use crate::handler::parse::Keys;

    fn read(attribute: &TokenStream) -> (Topology, Vec<String>) {
        let mut errors = Errors::default();
        let keys = Keys::parse(quote!(route = "#", #attribute), &mut errors);
        (keys.options.topology, errors.texts())
    }

    fn parsed(attribute: &TokenStream) -> Topology {
        let (topology, errors) = read(attribute);
        assert_eq!(errors, Vec::<String>::new());
        topology
    }

    /// The one thing that is wrong.
    fn error_of(attribute: &TokenStream) -> String {
        let (_, errors) = read(attribute);
        assert_eq!(errors.len(), 1, "{errors:?}");
        errors[0].clone()
    }

    #[test]
    fn every_key_is_read() {
        let topology = parsed(&quote! {
            exchange = "event", binding = ["order.*", "#"], queue_type = "classic", declare = "verify",
            arguments("x-max-length" = 10_000, "x-single-active-consumer" = true, "x-overflow" = "reject-publish", "x-low" = -1),
            dead_letter(exchange = "amq.direct", routing_key = "dead", queue = "letters")
        });
        assert_eq!(topology.exchange.as_deref(), Some("event"));
        assert_eq!(topology.binding, Some(vec!["order.*".into(), "#".into()]));
        assert_eq!(topology.queue_type, Some(QueueType::Classic));
        assert_eq!(topology.declare, Some(Declare::Verify));
        let arguments = [
            ("x-max-length".to_owned(), Argument::Whole(10_000)),
            ("x-single-active-consumer".to_owned(), Argument::Truth(true)),
            (
                "x-overflow".to_owned(),
                Argument::Text("reject-publish".into()),
            ),
            ("x-low".to_owned(), Argument::Whole(-1)),
        ];
        assert_eq!(topology.arguments, arguments);
        let dead_letter = DeadLetter {
            exchange: "amq.direct".into(),
            routing_key: "dead".into(),
            queue: Some("letters".into()),
        };
        assert_eq!(topology.dead_letter, Some(dead_letter));
    }

    #[test]
    fn lists_may_stand_in_braces_and_one_binding_without_brackets() {
        let topology = parsed(&quote! {
            exchange = "", binding = "order.*", arguments = { "x-max-length" = 1 }, dead_letter = { routing_key = "dead" }
        });
        assert_eq!(topology.exchange.as_deref(), Some(""));
        assert_eq!(topology.binding, Some(vec!["order.*".into()]));
        assert_eq!(topology.arguments.len(), 1);
        let dead_letter = topology.dead_letter.unwrap();
        assert_eq!((&*dead_letter.exchange, dead_letter.queue), ("", None));
    }

    #[test]
    fn what_is_no_binding_is_told() {
        for (binding, told) in [
            (quote!(), "`binding` is a routing key or a list"),
            (quote!(= 3), "`binding` is a routing key or a list"),
            (quote!(= ["a", b]), "`binding` is a routing key or a list"),
            (quote!(= []), "`binding` is an empty list"),
            (quote!(= ""), "a routing key of `binding` is empty"),
            (quote!(= ["a", ""]), "a routing key of `binding` is empty"),
            (quote!(= ["a", "b", "a"]), "\"a\" is in `binding` twice"),
        ] {
            let error = error_of(&quote!(binding #binding));
            assert!(error.starts_with(told), "{error}");
        }
    }

    #[test]
    fn what_is_no_argument_is_told() {
        let value = "the value of an argument is";
        for (arguments, told) in [
            (quote!(), "`arguments` is a list"),
            (quote!(= 3), "`arguments` is a list"),
            (quote!(()), "`arguments` is an empty list"),
            (quote!((x = 3)), "the name of an argument is a string"),
            (quote!((3)), "the name of an argument is a string"),
            (quote!(("" = 3)), "the name of an argument is empty"),
            (quote!(("x" 3)), "write `=` between \"x\" and its value"),
            (quote!(("x")), value),
            (quote!(("x" = 1.5)), value),
            (quote!(("x" = -true)), value),
            (quote!(("x" = TEN, "y" = 1)), value),
            (quote!(("x" = 9_223_372_036_854_775_808)), value),
            (quote!(("x" = 1, "x" = 2)), "\"x\" is set twice"),
        ] {
            let error = error_of(&quote!(arguments #arguments));
            assert!(error.starts_with(told), "{error}");
        }
    }

    #[test]
    fn what_is_no_target_of_dead_letters_is_told() {
        for (target, told) in [
            (quote!(), "`dead_letter` is an exchange and a routing key"),
            (
                quote!(= "dead"),
                "`dead_letter` is an exchange and a routing key",
            ),
            (
                quote!((exchange = "a")),
                "`dead_letter` lacks its routing key",
            ),
            (quote!((key = "a")), "unknown key `key`"),
            (quote!((routing_key = "")), "`routing_key` is empty"),
            (quote!((routing_key = "a", queue = "")), "`queue` is empty"),
            (
                quote!((exchange = 1, routing_key = "a")),
                "`exchange` is a string",
            ),
        ] {
            let error = error_of(&quote!(dead_letter #target));
            assert!(error.starts_with(told), "{error}");
        }
    }
}
