//! A list of `key = value`, whatever the values mean.

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::{
    LitStr, Token,
    ext::IdentExt,
    parse::{ParseStream, Parser},
    token::{Brace, Bracket, Paren},
};

use crate::{errors::Errors, nearest::suggestion};

/// One key and its value, which may be empty.
pub(super) struct Entry {
    pub(super) key: Ident,
    /// Whether `=` stands between them: `key(…)` has none.
    pub(super) equals: bool,
    pub(super) value: TokenStream,
}

/// Returns the entries with known keys, each key once. The first known key is the one that is meant where a value stands alone.
pub(super) fn entries(list: TokenStream, known: &[&str], errors: &mut Errors) -> Vec<Entry> {
    let unknown = |name: &str| suggestion(name, known);
    entries_or(list, known, unknown, errors)
}

/// Returns the same entries; `unknown` says what to do about a key that is not known.
pub(super) fn entries_or(
    list: TokenStream,
    known: &[&str],
    unknown: impl Fn(&str) -> String,
    errors: &mut Errors,
) -> Vec<Entry> {
    let read = |input: ParseStream<'_>| Ok(read(input, known[0], errors));
    let mut entries = read.parse2(list).unwrap_or_default();
    let mut seen = Vec::new();
    entries.retain(|Entry { key, .. }| {
        let name = key.to_string();
        if !known.contains(&name.as_str()) {
            errors.at(key, format!("unknown key `{name}`: {}", unknown(&name)));
            return false;
        }
        let first = !seen.contains(&name);
        if !first {
            errors.at(key, format!("`{name}` is set twice"));
        }
        seen.push(name);
        first
    });
    entries
}

fn read(input: ParseStream<'_>, main_key: &str, errors: &mut Errors) -> Vec<Entry> {
    let mut entries = Vec::new();
    while !input.is_empty() {
        if let Ok(key) = input.call(Ident::parse_any) {
            let equals = input.parse::<Token![=]>().is_ok();
            let joined = equals || input.peek(Paren) || input.peek(Brace) || input.peek(Bracket);
            let value = up_to_comma(input);
            if joined || value.is_empty() {
                entries.push(Entry { key, equals, value });
            } else {
                errors.at(&value, format!("write `=` between `{key}` and its value"));
            }
        } else {
            stray(input, main_key, errors);
        }
        separator(input, errors);
    }
    entries
}

/// Reads what stands between two entries.
pub(super) fn separator(input: ParseStream<'_>, errors: &mut Errors) {
    if input.parse::<Token![,]>().is_ok() || input.is_empty() {
        return;
    }
    let place = input.span();
    if input.parse::<Token![;]>().is_ok() {
        errors.here(place, "keys are separated by `,`");
    } else if let Ok(next) = input.fork().call(Ident::parse_any) {
        errors.here(place, format!("a `,` is missing before `{next}`"));
    }
}

/// Reports what stands where a key should.
pub(super) fn stray(input: ParseStream<'_>, main_key: &str, errors: &mut Errors) {
    let place = input.span();
    let value = up_to_comma(input);
    match syn::parse2::<LitStr>(value) {
        Ok(text) => errors.here(
            place,
            format!(
                "a value without its key: write `{main_key} = {:?}`",
                text.value()
            ),
        ),
        Err(_) => errors.here(
            place,
            format!("a key is expected here, as in `{main_key} = \"…\"`"),
        ),
    }
}

/// Takes the tokens up to the next comma that is not between `<` and `>`, or to where one is missing.
pub(super) fn up_to_comma(input: ParseStream<'_>) -> TokenStream {
    let (mut taken, mut depth, mut dash) = (Vec::new(), 0_usize, false);
    let over = |taken: &[TokenTree]| {
        let next = input.peek(syn::Ident) && input.peek2(Token![=]) && !input.peek2(Token![==]);
        input.peek(Token![,]) || input.peek(Token![;]) || next && !taken.is_empty()
    };
    while !(input.is_empty() || depth == 0 && over(&taken)) {
        let Ok(token) = input.parse::<TokenTree>() else {
            break;
        };
        if let TokenTree::Punct(punct) = &token {
            match punct.as_char() {
                '<' => depth += 1,
                '>' if !dash => depth = depth.saturating_sub(1),
                _ => {}
            }
            dash = punct.as_char() == '-';
        }
        taken.push(token);
    }
    taken.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    fn read(list: TokenStream) -> (Vec<(String, String)>, Vec<String>) {
        let mut errors = Errors::default();
        let entries = entries(list, &["route", "translator", "backoff"], &mut errors);
        let entries = entries.iter().map(|entry| {
            (
                entry.key.to_string(),
                entry.value.to_string().replace(' ', ""),
            )
        });
        (entries.collect(), errors.texts())
    }

    #[test]
    fn a_comma_between_angles_ends_nothing() {
        let (entries, errors) =
            read(quote!(translator = Wrapped<Json, fn(u8) -> Vec<u8>>, route = "a"));
        assert_eq!(entries[0].1, "Wrapped<Json,fn(u8)->Vec<u8>>");
        assert_eq!(entries[1], ("route".into(), "\"a\"".into()));
        assert!(errors.is_empty(), "{errors:?}");
    }

    #[test]
    fn a_missing_comma_is_reported_where_it_is_missing() {
        for list in [
            quote!(route = "a" translator = Json),
            quote!(route = "a"; translator = Json),
        ] {
            let (entries, errors) = read(list);
            let expected = [("route", "\"a\""), ("translator", "Json")];
            assert_eq!(
                entries,
                expected.map(|(key, value)| (key.into(), value.into()))
            );
            assert_eq!(errors.len(), 1, "{errors:?}");
            assert!(errors[0].contains("`,`"), "{errors:?}");
        }
    }

    #[test]
    fn what_follows_a_mistake_is_still_read() {
        let (entries, errors) = read(quote!(3, route "a", , translator = Json, = , backoff));
        assert_eq!(
            entries,
            [
                ("translator".into(), "Json".into()),
                ("backoff".into(), String::new())
            ]
        );
        assert_eq!(errors.len(), 4, "{errors:?}");
    }
}
