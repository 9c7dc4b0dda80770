//! Paths among the tokens of macros, which nobody parses.

use proc_macro2::{Delimiter, Ident, Literal, Spacing, TokenStream, TokenTree};

use crate::house::modules::name_of;

/// A path, and the line it begins on.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Written {
    pub(super) path: Vec<String>,
    pub(super) line: usize,
}

/// Returns what looks like a path of two names or more: `$crate::a::X`, `super::x`, `a::{X, Y}`.
pub(super) fn paths(tokens: TokenStream) -> Vec<Written> {
    let mut found = Vec::new();
    scan(tokens, &mut found);
    found
}

/// Returns the paths that literals of an attribute give, as in `#[serde(with = "crate::a")]`.
pub(super) fn quoted_paths(tokens: TokenStream) -> Vec<Written> {
    let mut found = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Group(group) => found.extend(quoted_paths(group.stream())),
            TokenTree::Literal(literal) => found.extend(quoted_path(&literal)),
            _ => {}
        }
    }
    found
}

fn quoted_path(literal: &Literal) -> Option<Written> {
    let literal = syn::parse_str::<syn::LitStr>(&literal.to_string()).ok()?;
    let path: syn::Path = literal.parse().ok()?;
    let path: Vec<String> = path.segments.iter().map(|it| name_of(&it.ident)).collect();
    (path.len() > 1).then_some(Written { path, line: 0 })
}

fn scan(tokens: TokenStream, found: &mut Vec<Written>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Group(group) => scan(group.stream(), found),
            TokenTree::Ident(ident) if !is_continued(&tokens[..at]) => {
                at = along(&tokens, at, ident, &[], found);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
}

/// Reads a path from its first name on, behind this prefix. Returns where it ends.
fn along(
    tokens: &[TokenTree],
    start: usize,
    first: &Ident,
    prefix: &[String],
    found: &mut Vec<Written>,
) -> usize {
    let mut path = [prefix, &[name_of(first)]].concat();
    let mut at = start + 1;
    while is_separator(&tokens[at..]) {
        match tokens.get(at + 2) {
            Some(TokenTree::Ident(ident)) => path.push(name_of(ident)),
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                branches(group.stream(), &path, found);
                return at + 3;
            }
            _ => break,
        }
        at += 3;
    }
    if path.len() > 1 {
        let line = first.span().start().line;
        found.push(Written { path, line });
    }
    at
}

/// Reads the paths of `PREFIX::{…}`.
fn branches(tokens: TokenStream, prefix: &[String], found: &mut Vec<Written>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let is_comma = |token: &TokenTree| matches!(token, TokenTree::Punct(it) if it.as_char() == ',');
    for branch in tokens.split(is_comma) {
        if let Some(TokenTree::Ident(first)) = branch.first() {
            along(branch, 0, first, prefix, found);
        }
    }
}

/// Whether what comes next is no first name: behind `.`, or behind a `::` that belongs to another crate or a type.
fn is_continued(before: &[TokenTree]) -> bool {
    let is_field = matches!(before.last(), Some(TokenTree::Punct(it)) if it.as_char() == '.');
    // Two dots are a range, with any path behind it.
    let is_range = before.len() > 1 && is_punct(&before[before.len() - 2], '.');
    let is_behind = before.len() > 1 && is_separator(&before[before.len() - 2..]);
    (is_field && !is_range) || is_behind
}

fn is_separator(tokens: &[TokenTree]) -> bool {
    let is_joint =
        matches!(tokens.first(), Some(TokenTree::Punct(it)) if it.spacing() == Spacing::Joint);
    is_joint && is_punct(&tokens[0], ':') && tokens.get(1).is_some_and(|it| is_punct(it, ':'))
}

fn is_punct(token: &TokenTree, sign: char) -> bool {
    matches!(token, TokenTree::Punct(it) if it.as_char() == sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let tokens = text.parse().expect("these are tokens");
        let found = paths(tokens);
        found.iter().map(|it| it.path.join("::")).collect()
    }

    #[test]
    fn paths_are_found_among_tokens() {
        let text = "$x.map(|it| $crate::a::X { y: super::b::f(it)? }, 0..c::END)";
        assert_eq!(found(text), ["crate::a::X", "super::b::f", "c::END"]);
    }

    #[test]
    fn a_group_is_many_paths() {
        let text = "use crate::{a::{X, Y as Z}, b::*, c};";
        let all = ["crate::a::X", "crate::a::Y", "crate::b", "crate::c"];
        assert_eq!(found(text), all);
    }

    #[test]
    fn single_names_fields_and_other_crates_are_no_paths() {
        assert_eq!(found("x.y ::z::w a: ::b <T>::c"), Vec::<String>::new());
    }

    #[test]
    fn quoted_paths_of_attributes_are_found() {
        let tokens = r#"(with = "crate::a::text", rename = "x", default = "no path")"#;
        let found = quoted_paths(tokens.parse().expect("these are tokens"));
        let paths: Vec<_> = found.iter().map(|it| it.path.join("::")).collect();
        assert_eq!(paths, ["crate::a::text"]);
    }
}
