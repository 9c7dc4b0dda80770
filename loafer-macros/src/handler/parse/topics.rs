//! `topics`: a topic, or several between brackets.

use syn::{
    Expr, ExprArray, ExprLit, Lit, LitStr,
    parse::{Parse, ParseStream},
};

use super::entries::Entry;
use crate::errors::Errors;

const EXPECTED: &str = "a topic or a list of them, as `topics = \"order.*\"` or `topics = [\"order.closed\", \"order.paid\"]`";

const LEAVE_OUT: &str = "name one, or leave `topics` out for the topic of the route's name";

/// Reads the topics that the route's queue receives.
pub(super) fn topics(entry: &Entry, errors: &mut Errors) -> Option<Vec<String>> {
    let Texts(topics) = entry.read(EXPECTED, errors)?;
    if topics.is_empty() {
        errors.at(
            &entry.value,
            format!("`topics` is an empty list: {LEAVE_OUT}"),
        );
        return None;
    }
    let before = errors.count();
    for (at, topic) in topics.iter().enumerate() {
        let name = topic.value();
        if name.is_empty() {
            errors.at(topic, format!("a topic is empty: {LEAVE_OUT}"));
        } else if topics[..at].iter().any(|known| known.value() == name) {
            errors.at(topic, format!("{name:?} is in `topics` twice"));
        }
    }
    (errors.count() == before).then(|| topics.iter().map(LitStr::value).collect())
}

/// One string, or several between brackets.
struct Texts(Vec<LitStr>);

impl Parse for Texts {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(LitStr) {
            return Ok(Self(vec![input.parse()?]));
        }
        let list: ExprArray = input.parse()?;
        let texts = list.elems.into_iter().map(|text| match text {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) => Ok(text),
            other => Err(syn::Error::new_spanned(other, "not a string")),
        });
        texts.collect::<syn::Result<_>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;
    use crate::handler::parse::Keys;

    #[test]
    fn one_topic_needs_no_brackets() {
        let mut errors = Errors::default();
        let keys = Keys::parse(quote!(route = "a", topics = "order.*"), &mut errors);
        assert_eq!(errors.texts(), Vec::<String>::new());
        assert_eq!(keys.options.topics, Some(vec!["order.*".into()]));
    }

    #[test]
    fn each_mistake_is_one_error() {
        for (topics, said) in [
            (quote!(), "`topics` is a topic or a list"),
            (quote!(= 3), "`topics` is a topic or a list"),
            (quote!(= ["a", b]), "`topics` is a topic or a list"),
            (quote!(= []), "`topics` is an empty list"),
            (quote!(= ""), "a topic is empty"),
            (quote!(= ["a", ""]), "a topic is empty"),
            (quote!(= ["a", "b", "a"]), "\"a\" is in `topics` twice"),
        ] {
            let mut errors = Errors::default();
            _ = Keys::parse(quote!(route = "a", topics #topics), &mut errors);
            let errors = errors.texts();
            assert_eq!(errors.len(), 1, "{errors:?}");
            assert!(errors[0].starts_with(said), "{errors:?}");
        }
    }
}
