//! What attributes say of an item.

use proc_macro2::TokenStream;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, ImplItem, Item, Lit, Meta, Token, TraitItem};

/// Whether these attributes leave their item to tests: `#[test]`, and `#[cfg]` that needs `test`.
pub(crate) fn only_in_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("cfg") => {
            predicates(&list.tokens).first().and_then(outside_of_tests) == Some(false)
        }
        _ => false,
    })
}

/// Whether documentation leaves the item out: `#[doc(hidden)]`.
pub(crate) fn is_hidden(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("doc") => predicates(&list.tokens)
            .iter()
            .any(|meta| meta.path().is_ident("hidden")),
        _ => false,
    })
}

/// The text that an attribute `#[NAME = "…"]` gives.
pub(crate) fn text_of(attribute: &Attribute, name: &str) -> Option<String> {
    match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident(name) => match &pair.value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}

/// The attributes of an item of any kind.
pub(crate) fn of_item(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(it) => &it.attrs,
        Item::Enum(it) => &it.attrs,
        Item::ExternCrate(it) => &it.attrs,
        Item::Fn(it) => &it.attrs,
        Item::ForeignMod(it) => &it.attrs,
        Item::Impl(it) => &it.attrs,
        Item::Macro(it) => &it.attrs,
        Item::Mod(it) => &it.attrs,
        Item::Static(it) => &it.attrs,
        Item::Struct(it) => &it.attrs,
        Item::Trait(it) => &it.attrs,
        Item::TraitAlias(it) => &it.attrs,
        Item::Type(it) => &it.attrs,
        Item::Union(it) => &it.attrs,
        Item::Use(it) => &it.attrs,
        _ => &[],
    }
}

/// The attributes of an item of a trait.
pub(crate) fn of_trait_item(item: &TraitItem) -> &[Attribute] {
    match item {
        TraitItem::Const(it) => &it.attrs,
        TraitItem::Fn(it) => &it.attrs,
        TraitItem::Type(it) => &it.attrs,
        TraitItem::Macro(it) => &it.attrs,
        _ => &[],
    }
}

/// The attributes of an item of an `impl`.
pub(crate) fn of_impl_item(item: &ImplItem) -> &[Attribute] {
    match item {
        ImplItem::Const(it) => &it.attrs,
        ImplItem::Fn(it) => &it.attrs,
        ImplItem::Type(it) => &it.attrs,
        ImplItem::Macro(it) => &it.attrs,
        _ => &[],
    }
}

/// What a predicate of `cfg` is where `test` is off; `None` where it hangs on something else.
fn outside_of_tests(predicate: &Meta) -> Option<bool> {
    match predicate {
        Meta::Path(path) if path.is_ident("test") => Some(false),
        Meta::List(list) => {
            let inner = predicates(&list.tokens);
            let mut inner = inner.iter().map(outside_of_tests);
            if list.path.is_ident("not") {
                inner.next().flatten().map(|holds| !holds)
            } else if list.path.is_ident("all") {
                all(inner)
            } else {
                // `any` is `all` of the opposites.
                all(inner.map(|holds| holds.map(|holds| !holds))).map(|holds| !holds)
            }
        }
        _ => None,
    }
}

fn all(mut predicates: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    predicates
        .try_fold(Some(true), |sofar, next| match next {
            Some(false) => Err(Some(false)),
            Some(true) => Ok(sofar),
            None => Ok(None),
        })
        .unwrap_or_else(|holds| holds)
}

fn predicates(tokens: &TokenStream) -> Vec<Meta> {
    let parser = Punctuated::<Meta, Token![,]>::parse_terminated;
    let parsed = parser.parse2(tokens.clone());
    parsed
        .map(|list| list.into_iter().collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_only_in_tests(attribute: &str) -> bool {
        let item = format!("{attribute} fn f() {{}}");
        let item = syn::parse_str(&item).expect("this is an item");
        only_in_tests(of_item(&item))
    }

    #[test]
    fn what_needs_the_test_build_is_only_in_tests() {
        for attribute in [
            "#[cfg(test)]",
            "#[test]",
            "#[cfg(all(unix, test))]",
            "#[cfg(any(test, all(feature = \"x\", test)))]",
        ] {
            assert!(is_only_in_tests(attribute), "{attribute}");
        }
    }

    #[test]
    fn what_may_be_elsewhere_too_is_not_only_in_tests() {
        for attribute in [
            "#[cfg(not(test))]",
            "#[cfg(any(test, feature = \"testing\"))]",
            "#[cfg(feature = \"test\")]",
            "#[cfg(all(unix, not(test)))]",
            "#[doc = \"test\"]",
        ] {
            assert!(!is_only_in_tests(attribute), "{attribute}");
        }
    }
}
