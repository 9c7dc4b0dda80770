//! What a publishing handler may return.

use syn::Type;

use super::returned::value;
use crate::{
    errors::Errors,
    handler::{
        model::{Call, Publish},
        parse::PublishKey,
    },
};

/// Returns where to publish what the handler returns, as far as its signature shows.
pub(super) fn check(key: &PublishKey, call: &Call, errors: &mut Errors) -> Option<Publish> {
    let returned = value(
        call,
        "a handler of batches returns outcomes: leave out `publish`, and publish through a `Bus`, as `bus.send_all(topic, messages)`",
        "with `publish` a handler returns what is published: a value, an `Option`, a `Vec`, or a tuple of events; leave out `publish` to return an outcome",
        errors,
    );
    let (tuple, types) = match returned {
        Type::Tuple(tuple) if !tuple.elems.is_empty() => (
            Some(tuple.elems.len()),
            tuple.elems.iter().cloned().collect(),
        ),
        other => (None, vec![other.clone()]),
    };
    if let (Some(topic), Some(_)) = (&key.topic, tuple) {
        errors.at(
            topic,
            "the events of a tuple go to topics of their own: write `publish` without a topic, and derive `Event` for each",
        );
    }
    Some(Publish {
        topic: key.topic.clone(),
        tuple,
        types,
    })
}
