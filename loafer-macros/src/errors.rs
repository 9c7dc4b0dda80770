//! All errors of one expansion.

use std::fmt::Display;

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;

/// What is wrong with what the user wrote, each error at its token.
#[derive(Debug, Default)]
pub(crate) struct Errors {
    all: Vec<syn::Error>,
    /// Whether the compiler would report the same mistake a second time if it saw the item.
    instead: bool,
}

impl Errors {
    /// Adds an error at these tokens.
    pub(crate) fn at(&mut self, tokens: &impl ToTokens, what: impl Display) {
        self.all.push(syn::Error::new_spanned(tokens, what));
    }

    /// Adds an error at these tokens, and hides the item from the compiler, which would report the mistake too.
    pub(crate) fn instead(&mut self, tokens: &impl ToTokens, what: impl Display) {
        self.at(tokens, what);
        self.instead = true;
    }

    /// Returns the item if the compiler may see it.
    pub(crate) fn beside<'i>(&self, item: &'i TokenStream) -> Option<&'i TokenStream> {
        (!self.instead).then_some(item)
    }

    /// Adds an error at this place.
    pub(crate) fn here(&mut self, span: Span, what: impl Display) {
        self.all.push(syn::Error::new(span, what));
    }

    /// Returns the value; `None` means one error more.
    pub(crate) fn keep<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.all.push(error)).ok()
    }

    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    /// Returns the texts, for tests.
    #[cfg(test)]
    pub(crate) fn texts(&self) -> Vec<String> {
        self.all.iter().map(ToString::to_string).collect()
    }
}

impl ToTokens for Errors {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(self.all.iter().map(syn::Error::to_compile_error));
    }
}
