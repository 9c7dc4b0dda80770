//! `{ "x-max-length" = 10_000, … }`: a table, whose keys are strings.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use syn::{
    Expr, LitStr, Token,
    parse::{ParseStream, Parser},
    token::Brace,
};

use super::{entries::up_to_comma, options::expression};
use crate::errors::Errors;

type Pairs = Vec<(LitStr, Expr)>;

/// Reads the next group if it is a table. `Some(None)` means that errors say what is wrong with the table.
pub(super) fn parse(
    key: &Ident,
    input: ParseStream<'_>,
    errors: &mut Errors,
) -> Option<Option<Pairs>> {
    let group: Group = input.fork().parse().ok()?;
    if !is_table(&group) {
        return None;
    }
    _ = input.parse::<Group>();
    if group.stream().is_empty() {
        errors.at(
            &group,
            format!("the table is empty: write `{key} = {{ \"name\" = value }}`, or leave it out"),
        );
        return Some(None);
    }
    let before = errors.count();
    let read = |input: ParseStream<'_>| Ok(read(input, errors));
    let pairs = read.parse2(group.stream()).ok();
    Some(pairs.filter(|_| errors.count() == before))
}

/// Returns whether a group begins like a table, also like one with a mistake. Anything else is a block of Rust.
fn is_table(group: &Group) -> bool {
    let look = |input: ParseStream<'_>| {
        let (text, name) = (input.peek(LitStr), input.peek(syn::Ident));
        let joined = input.peek2(Token![=]) && !input.peek2(Token![==])
            || input.peek2(Token![:]) && !input.peek2(Token![::])
            || input.peek2(Token![,]);
        let empty = input.is_empty();
        let first = input.parse::<TokenTree>();
        let alone = first.is_ok() && input.is_empty() && group.delimiter() == Delimiter::Brace;
        _ = input.parse::<TokenStream>();
        Ok(empty || (text || name) && joined || text && alone)
    };
    look.parse2(group.stream()).unwrap_or_default()
}

fn read(input: ParseStream<'_>, errors: &mut Errors) -> Pairs {
    let mut pairs = Pairs::new();
    while !input.is_empty() {
        // `parse` alone would take a literal of another kind away.
        let name = input.peek(LitStr).then(|| input.parse::<LitStr>());
        if let Some(Ok(name)) = name {
            if name.value().is_empty() {
                errors.at(&name, "a key of a table is empty");
            } else if pairs.iter().any(|(known, _)| known.value() == name.value()) {
                errors.at(&name, format!("{:?} is set twice", name.value()));
            }
            pairs.extend(value(&name, input, errors).map(|value| (name, value)));
        } else {
            stray(input, errors);
        }
        separator(input, errors);
    }
    pairs
}

fn value(name: &LitStr, input: ParseStream<'_>, errors: &mut Errors) -> Option<Expr> {
    let equals = input.parse::<Token![=]>().is_ok();
    let written = name.value();
    if input.is_empty() || input.peek(Token![,]) {
        errors.at(
            name,
            format!("{written:?} lacks its value: write `{written:?} = …`"),
        );
        return None;
    }
    if !equals {
        let value = up_to_comma(input);
        errors.at(
            &value,
            format!("write `=` between {written:?} and its value"),
        );
        return None;
    }
    let nested = input.peek(Brace)
        && input
            .fork()
            .parse::<Group>()
            .is_ok_and(|group| is_table(&group));
    let value = match nested {
        true => Err(up_to_comma(input)),
        false => expression(input),
    };
    if let Err(other) = &value {
        errors.at(
            other,
            format!("the value of {written:?} is an expression, as in `{written:?} = 10_000`"),
        );
    }
    value.ok()
}

/// Reports what stands where a key should.
fn stray(input: ParseStream<'_>, errors: &mut Errors) {
    let place = input.span();
    let what = match input.fork().parse::<Ident>() {
        Ok(name) => format!("the keys of a table are strings: write `\"{name}\" = …`"),
        Err(_) => "a key of the table is expected here, as in `\"name\" = value`".to_owned(),
    };
    errors.here(place, what);
    // At least one token: some tokens begin neither a key nor an expression.
    _ = input.parse::<TokenTree>();
    _ = input.parse::<Token![=]>();
    _ = expression(input);
}

/// Reads what stands between two pairs.
fn separator(input: ParseStream<'_>, errors: &mut Errors) {
    if input.parse::<Token![,]>().is_ok() || input.is_empty() {
        return;
    }
    let place = input.span();
    match input.fork().parse::<LitStr>() {
        Ok(next) => errors.here(place, format!("a `,` is missing before {:?}", next.value())),
        Err(_) => {
            errors.here(place, "the pairs of a table are separated by `,`");
            if input.parse::<Token![;]>().is_err() {
                _ = up_to_comma(input);
                _ = input.parse::<Token![,]>();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    fn errors_of(table: TokenStream) -> Vec<String> {
        let mut errors = Errors::default();
        let key = quote::format_ident!("arguments");
        let read = |input: ParseStream<'_>| Ok(parse(&key, input, &mut errors));
        let read = read.parse2(table).expect("a group, all of it");
        assert!(matches!(read, Some(None)), "a table, a wrong one");
        errors.texts()
    }

    #[test]
    fn each_mistake_is_one_error() {
        for (table, said) in [
            (quote!({}), "the table is empty: write `arguments = "),
            (quote!(()), "the table is empty: write `arguments = "),
            (
                quote!({ x = 3, "y" = 1 }),
                "the keys of a table are strings: write `\"x\" = …`",
            ),
            (quote!({ x, "y" = 1 }), "the keys of a table are strings"),
            (
                quote!({ "y" = 1, 3 }),
                "a key of the table is expected here",
            ),
            (
                quote!({ "y" = 1, = 3 }),
                "a key of the table is expected here",
            ),
            (quote!({ "" = 3 }), "a key of a table is empty"),
            (quote!({ "x": 3 }), "write `=` between \"x\" and its value"),
            (
                quote!({ "y" = 1, "x" 3 }),
                "write `=` between \"x\" and its value",
            ),
            (quote!({ "y" = 1, "x" }), "\"x\" lacks its value"),
            (quote!({ "x", "y" = 1 }), "\"x\" lacks its value"),
            (quote!({ "x" }), "\"x\" lacks its value"),
            (quote!({ "x" = , "y" = 1 }), "\"x\" lacks its value"),
            (
                quote!({ "x" = { "y" = 1 } }),
                "the value of \"x\" is an expression",
            ),
            (
                quote!({ "x" = ?, "y" = 1 }),
                "the value of \"x\" is an expression",
            ),
            (quote!({ "x" = 1, "x" = 2 }), "\"x\" is set twice"),
            (quote!({ "x" = 1 "y" = 2 }), "a `,` is missing before \"y\""),
            (
                quote!({
                    "x" = 1;
                    "y" = 2
                }),
                "the pairs of a table are separated by `,`",
            ),
        ] {
            let errors = errors_of(table.clone());
            assert_eq!(errors.len(), 1, "{table}: {errors:?}");
            assert!(errors[0].starts_with(said), "{table}: {errors:?}");
        }
    }

    #[test]
    fn a_block_of_rust_is_no_table() {
        for block in [
            quote!({ "a".to_owned() }),
            quote!({ "a" == b }),
            quote!({ a::b() }),
            quote!({
                let a = 1;
                a
            }),
        ] {
            let group: Group = syn::parse2(block.clone()).unwrap();
            assert!(!is_table(&group), "{block}");
        }
    }
}
