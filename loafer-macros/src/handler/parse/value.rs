//! Values of the attribute's keys. A wrong one is an error at its tokens, with an example of a right one.

use std::{fmt::Display, str::FromStr, time::Duration};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use syn::{LitBool, LitFloat, LitInt, LitStr, parse::Parse};

use super::entries::Entry;
use crate::errors::Errors;

impl Entry {
    /// Returns the value as a `T`. If it is none, then an error says what `expected` says: how this key's values are written.
    pub(super) fn read<T: Parse>(&self, expected: &str, errors: &mut Errors) -> Option<T> {
        let value = syn::parse2(self.value.clone()).ok();
        if value.is_none() {
            self.refuse(expected, errors);
        }
        value
    }

    pub(super) fn refuse(&self, expected: &str, errors: &mut Errors) {
        let what = format!("`{}` is {expected}", self.key);
        if self.value.is_empty() {
            errors.at(&self.key, what)
        } else {
            errors.at(&self.value, what)
        }
    }

    /// Returns a string that is not empty.
    pub(super) fn text(&self, example: &str, errors: &mut Errors) -> Option<LitStr> {
        let text: LitStr = self.read(
            &format!("a string, as `{} = {example:?}`", self.key),
            errors,
        )?;
        let empty = text.value().trim().is_empty();
        if empty {
            errors.at(&text, format!("`{}` is empty", self.key));
        }
        (!empty).then_some(text)
    }

    /// Returns what stands between the parentheses of `key(…)`, or the braces of `key = { … }`.
    pub(super) fn list(&self) -> Option<TokenStream> {
        let group = self.group()?;
        let list = match group.delimiter() {
            Delimiter::Parenthesis => true,
            Delimiter::Brace => self.equals,
            _ => false,
        };
        list.then(|| group.stream())
    }

    /// Returns what stands between the parentheses of `key(…)`.
    pub(super) fn parenthesised(&self) -> Option<TokenStream> {
        let group = self.group().filter(|_| !self.equals)?;
        (group.delimiter() == Delimiter::Parenthesis).then(|| group.stream())
    }

    /// Returns the value where it is one group.
    fn group(&self) -> Option<Group> {
        let mut tokens = self.value.clone().into_iter();
        match (tokens.next()?, tokens.next()) {
            (TokenTree::Group(group), None) => Some(group),
            _ => None,
        }
    }

    /// Returns the meaning of one of these words.
    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)], errors: &mut Errors) -> Option<T> {
        let quoted: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
        let expected = quoted.join(" or ");
        let text: LitStr = self.read(&expected, errors)?;
        let known = words.iter().find(|(word, _)| *word == text.value());
        if known.is_none() {
            self.refuse(&expected, errors);
        }
        known.map(|(_, meaning)| *meaning)
    }

    /// Returns a whole number, at least this one.
    pub(super) fn whole<N>(&self, least: N, example: N, errors: &mut Errors) -> Option<N>
    where
        N: FromStr<Err: Display> + PartialOrd + Copy + Display,
    {
        let expected = format!(
            "a whole number, at least {least}, as `{} = {example}`",
            self.key
        );
        let number = self
            .read::<LitInt>(&expected, errors)?
            .base10_parse()
            .ok()
            .filter(|number| *number >= least);
        if number.is_none() {
            self.refuse(&expected, errors);
        }
        number
    }

    /// Returns a number, at least 1.
    pub(super) fn factor(&self, errors: &mut Errors) -> Option<f64> {
        let whole =
            syn::parse2::<LitInt>(self.value.clone()).and_then(|number| number.base10_parse());
        let number = whole.or_else(|_| syn::parse2::<LitFloat>(self.value.clone())?.base10_parse());
        let number = number
            .ok()
            .filter(|number: &f64| *number >= 1.0 && number.is_finite());
        if number.is_none() {
            self.refuse("a number, at least 1, as `factor = 2`", errors);
        }
        number
    }

    pub(super) fn truth(&self, errors: &mut Errors) -> Option<bool> {
        let truth: LitBool = self.read(
            &format!("`true` or `false`, as `{} = false`", self.key),
            errors,
        )?;
        Some(truth.value)
    }

    /// Returns a duration, written with its unit.
    pub(super) fn duration(&self, example: &str, errors: &mut Errors) -> Option<Duration> {
        let expected = format!(
            "a duration: write a number and a unit, as `{} = {example:?}`",
            self.key
        );
        let text: LitStr = self.read(&expected, errors)?;
        duration(&text, errors)
    }

    /// Returns a duration in which something can be done; `zero` says why nothing can be done in none.
    pub(super) fn some_time(
        &self,
        example: &str,
        zero: &str,
        errors: &mut Errors,
    ) -> Option<Duration> {
        let duration = self.duration(example, errors)?;
        if duration.is_zero() {
            errors.at(&self.value, format!("`{}` is 0: {zero}", self.key));
        }
        Some(duration)
    }
}

/// Reads a duration, or says how one is written.
pub(super) fn duration(text: &LitStr, errors: &mut Errors) -> Option<Duration> {
    let duration = humantime::parse_duration(&text.value()).ok();
    if duration.is_none() {
        errors.at(
            text,
            format!("`{}` is no duration: write a number and a unit, as \"20s\", \"500ms\", \"15m\" or \"1h 30m\"", text.value()),
        );
    }
    duration
}
