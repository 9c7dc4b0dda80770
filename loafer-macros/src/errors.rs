//! Errors of one expansion, all told at once.

use std::fmt::Display;

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;

/// What is wrong with what the user wrote, each error at its token.
#[derive(Debug, Default)]
pub(crate) struct Errors(Vec<syn::Error>);

impl Errors {
    /// Something is wrong with these tokens.
    pub(crate) fn at(&mut self, tokens: &impl ToTokens, what: impl Display) {
        self.0.push(syn::Error::new_spanned(tokens, what));
    }

    /// Something is wrong here.
    pub(crate) fn here(&mut self, span: Span, what: impl Display) {
        self.0.push(syn::Error::new(span, what));
    }

    /// The value, or nothing and one error more.
    pub(crate) fn keep<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.0.push(error)).ok()
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The texts, for tests.
    #[cfg(test)]
    pub(crate) fn texts(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }
}

impl ToTokens for Errors {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(self.0.iter().map(syn::Error::to_compile_error));
    }
}
