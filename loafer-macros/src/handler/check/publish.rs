//! What a publishing handler may return.

use syn::{GenericArgument, PathArguments, Type};

use crate::{
    errors::Errors,
    handler::{
        model::{Call, Publish},
        parse::PublishKey,
    },
};

/// Where what the handler returns goes, as far as its shape tells.
pub(super) fn check(key: &PublishKey, call: &Call, errors: &mut Errors) -> Option<Publish> {
    if let Some(batch) = &call.message.batch {
        errors.at(
            batch,
            "a handler of batches returns outcomes: leave out `publish`, and publish through a `Bus`, as `bus.send_all(topic, messages)`",
        );
    }
    let returned = inside_result(&call.returns);
    if is_outcome(returned) {
        errors.at(
            returned,
            "with `publish` a handler returns what is published: a value, an `Option`, a `Vec`, or a tuple of events; leave out `publish` to return an outcome",
        );
    }
    let tuple = match returned {
        Type::Tuple(tuple) => Some(tuple.elems.len()).filter(|elements| *elements > 0),
        _ => None,
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
    })
}

/// `T` of `Result<T, E>`, by any path; else the type itself.
pub(super) fn inside_result(returned: &Type) -> &Type {
    let Type::Path(path) = returned else {
        return returned;
    };
    let Some(last) = path
        .path
        .segments
        .last()
        .filter(|last| last.ident == "Result")
    else {
        return returned;
    };
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return returned;
    };
    match arguments.args.first() {
        Some(GenericArgument::Type(inside)) => inside,
        _ => returned,
    }
}

/// What says whether a message is done, or nothing at all.
pub(super) fn is_outcome(returned: &Type) -> bool {
    match returned {
        Type::Tuple(tuple) => tuple.elems.is_empty(),
        Type::Path(path) => {
            let last = path.path.segments.last();
            last.is_some_and(|last| last.ident == "bool" || last.ident == "Outcome")
        }
        _ => false,
    }
}
