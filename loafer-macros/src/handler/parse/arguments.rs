//! `arguments("x-max-length" = 10_000, …)`: keys that are strings, as the broker calls them.

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Lit, LitStr, Token,
    parse::{Parse, ParseStream, Parser},
};

use super::entries::Entry;
use crate::{errors::Errors, handler::model::Argument};

const EXPECTED: &str =
    "a list, as `arguments(\"x-max-length\" = 10_000, \"x-overflow\" = \"reject-publish\")`";

const VALUE: &str = "the value of an argument is `true`, `false`, a whole number or a string, as in `\"x-max-length\" = 10_000`";

const NAME: &str = "the name of an argument is a string, as in `\"x-max-length\" = 10_000`";

impl Argument {
    /// All of them, each name once.
    pub(super) fn list(entry: &Entry, errors: &mut Errors) -> Vec<(String, Self)> {
        let Some(list) = entry.list() else {
            entry.refuse(EXPECTED, errors);
            return Vec::new();
        };
        if list.is_empty() {
            errors.at(
                &entry.key,
                "`arguments` is an empty list: name an argument, as `arguments(\"x-max-length\" = 10_000)`, or leave it out",
            );
        }
        let mut arguments: Vec<(String, Self)> = Vec::new();
        let read = |input: ParseStream<'_>| {
            while !input.is_empty() {
                if let Some((name, value)) = one(input, errors) {
                    if arguments.iter().any(|(known, _)| *known == name.value()) {
                        errors.at(&name, format!("{:?} is set twice", name.value()));
                    } else {
                        arguments.push((name.value(), value));
                    }
                }
                _ = input.parse::<Token![,]>();
            }
            Ok(())
        };
        _ = read.parse2(list);
        arguments
    }
}

/// One argument, up to the comma; none: what is wrong with it is told.
fn one(input: ParseStream<'_>, errors: &mut Errors) -> Option<(LitStr, Argument)> {
    let place = input.span();
    let Ok(name) = input.parse::<LitStr>() else {
        errors.here(place, NAME);
        _ = up_to_comma(input);
        return None;
    };
    let joined = input.parse::<Token![=]>().is_ok();
    let value = up_to_comma(input);
    if name.value().is_empty() {
        errors.at(&name, "the name of an argument is empty");
    } else if value.is_empty() {
        errors.at(&name, VALUE);
    } else if !joined {
        errors.at(
            &value,
            format!("write `=` between {:?} and its value", name.value()),
        );
    } else if let Ok(Literal(argument)) = syn::parse2(value.clone()) {
        return Some((name, argument));
    } else {
        errors.at(&value, VALUE);
    }
    None
}

/// Takes one token at least, where there is one.
fn up_to_comma(input: ParseStream<'_>) -> TokenStream {
    let mut taken = TokenStream::new();
    while !(input.is_empty() || input.peek(Token![,])) {
        let Ok(token) = input.parse::<TokenTree>() else {
            break;
        };
        taken.extend([token]);
    }
    taken
}

/// A value, written out.
struct Literal(Argument);

impl Parse for Literal {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let minus: Option<Token![-]> = input.parse()?;
        let argument = match input.parse()? {
            Lit::Int(number) => {
                let sign = minus.map_or("", |_| "-");
                let number = format!("{sign}{}", number.base10_digits()).parse();
                number.ok().map(Argument::Whole)
            }
            Lit::Bool(truth) if minus.is_none() => Some(Argument::Truth(truth.value)),
            Lit::Str(text) if minus.is_none() => Some(Argument::Text(text.value())),
            _ => None,
        };
        argument.map(Self).ok_or_else(|| input.error(VALUE))
    }
}
