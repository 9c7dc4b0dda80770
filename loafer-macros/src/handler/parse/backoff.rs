//! `backoff`, in its three spellings: `= "1s"`, `(initial = "1s", …)` and `= { initial = "1s", … }`.

use proc_macro2::TokenStream;
use syn::LitStr;

use super::{
    entries::{Entry, entries},
    value::duration,
};
use crate::{errors::Errors, handler::model::Backoff};

const KNOWN: &[&str] = &["initial", "factor", "max", "jitter"];

const EXPECTED: &str = "a duration or a list, as `backoff = \"1s\"` or `backoff(initial = \"1s\", factor = 2, max = \"15m\", jitter = true)`";

impl Backoff {
    pub(super) fn parse(entry: &Entry, errors: &mut Errors) -> Option<Self> {
        match entry.list() {
            Some(list) => Self::listed(entry, list, errors),
            None => {
                let text: LitStr = entry.read(EXPECTED, errors)?;
                let initial = duration(&text, errors)?;
                Some(Self {
                    initial,
                    factor: None,
                    max: None,
                    jitter: None,
                })
            }
        }
    }

    fn listed(entry: &Entry, list: TokenStream, errors: &mut Errors) -> Option<Self> {
        let (mut initial, mut factor, mut max, mut jitter, mut starts) =
            (None, None, None, None, false);
        let mut max_value = None;
        for entry in entries(list, KNOWN, errors) {
            match entry.key.to_string().as_str() {
                "initial" => (starts, initial) = (true, entry.duration("1s", errors)),
                "factor" => factor = entry.factor(errors),
                "max" => {
                    max = entry.duration("15m", errors);
                    max_value = Some(entry.value);
                }
                _ => jitter = entry.truth(errors),
            }
        }
        if !starts {
            errors.at(
                &entry.key,
                "`backoff` lacks its first delay: add `initial = \"1s\"`",
            );
        }
        if let (Some(initial), Some(max)) = (initial, max)
            && max < initial
        {
            errors.at(
                &max_value,
                "`max` is below `initial`: no delay would be as long as that; raise it, or leave it out for 15 minutes, or `initial` where that is longer",
            );
        }
        Some(Self {
            initial: initial?,
            factor,
            max,
            jitter,
        })
    }
}
