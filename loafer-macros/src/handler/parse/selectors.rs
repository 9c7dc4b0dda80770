//! What tells the messages of a route apart: `on` and `group_by`.

use super::entries::Entry;
use crate::{
    errors::Errors,
    handler::model::{GroupBy, On},
};

impl GroupBy {
    /// Reads what makes a group.
    pub(super) fn parse(entry: &Entry, errors: &mut Errors) -> Option<Self> {
        let text = entry.text("header:tenant", errors)?;
        let by = text.value();
        match by.strip_prefix("header:") {
            None if by == "group" => Some(Self::Group),
            Some(name) if !name.is_empty() => Some(Self::Header(name.to_owned())),
            _ => {
                let what = "`group_by` is \"group\", the group a message was sent with, or \"header:NAME\"";
                errors.at(&text, what);
                None
            }
        }
    }
}

impl On {
    /// Reads which messages a handler takes.
    pub(super) fn parse(entry: &Entry, errors: &mut Errors) -> Option<Self> {
        let text = entry.text("order.placed", errors)?;
        let selector = text.value();
        let on = match selector.strip_prefix("header:") {
            None => Some(Self::EventType(selector.clone())),
            Some(rest) => rest
                .split_once('=')
                .filter(|(name, _)| !name.is_empty())
                .map(|(name, pattern)| Self::Header(name.to_owned(), pattern.to_owned())),
        };
        let on = on.filter(|on| {
            let (Self::EventType(pattern) | Self::Header(_, pattern)) = on;
            !pattern.split('.').any(str::is_empty)
        });
        if on.is_none() {
            let what = "`on` is an event type, as \"order.placed\", a pattern of one, as \"order.*\", or \"header:NAME=PATTERN\"";
            errors.at(&text, what);
        }
        on
    }
}
