//! `options(key = value, …)`: keys that only the route's broker knows. The compiler checks their names and values.

use proc_macro2::{Ident, TokenStream};
use syn::{
    Expr, Token,
    parse::{ParseStream, Parser, discouraged::Speculative},
    token::{Brace, Paren},
};

use super::{
    entries::{Entry, separator, stray, up_to_comma},
    table,
};
use crate::{
    errors::Errors,
    handler::model::{BrokerOption, Value},
};

const EXPECTED: &str = "a list of keys: write `options(key = value, …)`";

const EMPTY: &str = "`options` is empty: write `options(key = value)`, or leave it out";

const PROVIDER: &str =
    "`options` needs `provider` in the same attribute: write `provider = Type, options(…)`";

impl BrokerOption {
    /// Reads all of them, each key once.
    pub(super) fn list(entry: &Entry, errors: &mut Errors) -> Vec<Self> {
        let Some(list) = entry.parenthesised() else {
            entry.refuse(EXPECTED, errors);
            return Vec::new();
        };
        if list.is_empty() {
            errors.at(&entry.key, EMPTY);
        }
        let read = |input: ParseStream<'_>| Ok(read(input, errors));
        read.parse2(list).unwrap_or_default()
    }
}

/// Adds the error that `provider` is missing: its type knows the keys.
pub(super) fn lacks_provider(options: &Entry, errors: &mut Errors) {
    errors.at(&options.key, PROVIDER);
}

fn read(input: ParseStream<'_>, errors: &mut Errors) -> Vec<BrokerOption> {
    let (mut options, mut seen) = (Vec::new(), Vec::new());
    while !input.is_empty() {
        if let Ok(key) = input.parse::<Ident>() {
            let first = !seen.contains(&key);
            if !first {
                errors.at(&key, format!("`{key}` is set twice"));
            }
            let value = value(&key, input, errors);
            seen.push(key.clone());
            options.extend(
                value
                    .filter(|_| first)
                    .map(|value| BrokerOption { key, value }),
            );
        } else {
            stray(input, "key", errors);
        }
        separator(input, errors);
    }
    options
}

/// Reads what stands behind a key; `None` means that an error says what is wrong with it.
fn value(key: &Ident, input: ParseStream<'_>, errors: &mut Errors) -> Option<Value> {
    let equals = input.parse::<Token![=]>().is_ok();
    if input.is_empty() || input.peek(Token![,]) {
        let what = format!("`{key}` lacks its value: write `{key} = …`");
        errors.at(key, what);
        return None;
    }
    // In the whole attribute, `key(…)` is read like `key = { … }`.
    let grouped = match equals {
        true => input.peek(Brace),
        false => input.peek(Paren),
    };
    if grouped && let Some(pairs) = table::parse(key, input, errors) {
        return pairs.map(Value::Table);
    }
    if !equals {
        let value = up_to_comma(input);
        errors.at(&value, format!("write `=` between `{key}` and its value"));
        return None;
    }
    let value = expression(input);
    if let Err(other) = &value {
        errors.at(
            other,
            format!(
                "the value of `{key}` is no expression of Rust: write `{key} = \"…\"`, `{key} = [\"…\", \"…\"]` or `{key} = {{ \"name\" = … }}`"
            ),
        );
    }
    value.ok().map(|value| Value::Expression(Box::new(value)))
}

/// Returns the next expression, or the tokens up to the next comma if they are none.
pub(super) fn expression(input: ParseStream<'_>) -> Result<Expr, TokenStream> {
    let ahead = input.fork();
    let read = ahead.parse();
    if read.is_ok() {
        input.advance_to(&ahead);
    }
    read.map_err(|_| up_to_comma(input))
}

#[cfg(test)]
mod tests {
    use quote::{ToTokens, quote};

    use super::*;
    use crate::handler::parse::Keys;

    /// Returns the options as they are written, and what is wrong with them.
    fn read(options: &TokenStream) -> (Vec<(String, String)>, Vec<String>) {
        let mut errors = Errors::default();
        let attribute = quote!(route = "a", provider = Wide<Amqp, u8>, options #options);
        let keys = Keys::parse(attribute, &mut errors);
        let written = |value: &Value| match value {
            Value::Expression(value) => value.to_token_stream().to_string(),
            Value::Table(pairs) => {
                let pairs = pairs
                    .iter()
                    .map(|(name, value)| format!("{}: {}", name.value(), value.to_token_stream()));
                format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
            }
        };
        let options = keys.broker_options.iter();
        let options = options
            .map(|option| (option.key.to_string(), written(&option.value)))
            .collect();
        (options, errors.texts())
    }

    #[test]
    fn values_are_expressions_arrays_and_tables() {
        let (options, errors) = read(&quote!((
            exchange = "event",
            binding = ["order.closed", "order.paid"],
            pairs = Vec::<(u8, u8)>::with_capacity(1 << 3),
            less = 1 < 2,
            block = { "a".to_owned() },
            r#type = -1,
            arguments = { "x-max-length" = 10_000, "x-low" = -1, "x-overflow" = REJECT, },
            headers("a" = true),
        )));
        assert_eq!(errors, Vec::<String>::new());
        let expected = [
            ("exchange", "\"event\""),
            ("binding", "[\"order.closed\" , \"order.paid\"]"),
            ("pairs", "Vec :: < (u8 , u8) > :: with_capacity (1 << 3)"),
            ("less", "1 < 2"),
            ("block", "{ \"a\" . to_owned () }"),
            ("r#type", "- 1"),
            (
                "arguments",
                "{x-max-length: 10_000, x-low: - 1, x-overflow: REJECT}",
            ),
            ("headers", "{a: true}"),
        ];
        assert_eq!(
            options,
            expected.map(|(key, value)| (key.into(), value.into()))
        );
    }

    #[test]
    fn each_mistake_is_one_error() {
        for (options, said) in [
            (quote!(), "`options` is a list of keys"),
            (quote!(= { a = 1 }), "`options` is a list of keys"),
            (quote!(= (a = 1)), "`options` is a list of keys"),
            (quote!({ a = 1 }), "`options` is a list of keys"),
            (quote!([a = 1]), "`options` is a list of keys"),
            (quote!(()), "`options` is empty"),
            (
                quote!(("x")),
                "a value without its key: write `key = \"x\"`",
            ),
            (quote!((type = 1)), "a key is expected here"),
            (quote!((a)), "`a` lacks its value"),
            (quote!((a = , b = 1)), "`a` lacks its value"),
            (quote!((a "x")), "write `=` between `a` and its value"),
            (quote!((a("x"))), "write `=` between `a` and its value"),
            (quote!((a: 1, b = 1)), "write `=` between `a` and its value"),
            (quote!((a = 1 b = 2)), "a `,` is missing before `b`"),
            (quote!((a = 1; b = 2)), "keys are separated by `,`"),
            (quote!((a = ?, b = 2)), "the value of `a` is no expression"),
            (quote!((a = 1, b = 2, a = 3)), "`a` is set twice"),
            (quote!((a = ?), options(b = 1)), "`options` is set twice"),
        ] {
            let (_, errors) = read(&options);
            let twice = usize::from(said.starts_with("`options` is set"));
            assert_eq!(errors.len(), 1 + twice, "{options}: {errors:?}");
            assert!(errors[0].starts_with(said), "{options}: {errors:?}");
        }
    }

    #[test]
    fn what_follows_a_mistake_is_still_read() {
        let (options, errors) = read(&quote!((a = ?, 3, b, c = 1, d = { e = 1 }, f = 2)));
        assert_eq!(errors.len(), 4, "{errors:?}");
        assert_eq!(
            options,
            [("c".into(), "1".into()), ("f".into(), "2".into())]
        );
    }

    #[test]
    fn a_provider_is_needed_and_a_misspelled_one_is_one_mistake() {
        let errors_of = |attribute| {
            let mut errors = Errors::default();
            _ = Keys::parse(attribute, &mut errors);
            errors.texts()
        };
        assert_eq!(
            errors_of(quote!(route = "a", options(a = 1))),
            [PROVIDER.to_owned()]
        );
        let errors = errors_of(quote!(route = "a", provder = Amqp, options(a = 1)));
        assert_eq!(errors.len(), 1, "{errors:?}");
        let errors = errors_of(quote!(route = "a", provider = "Amqp", options(a = 1)));
        assert_eq!(errors.len(), 1, "{errors:?}");
    }
}
