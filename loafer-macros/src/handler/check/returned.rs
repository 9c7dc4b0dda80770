//! The value that a handler returns instead of an outcome: what is published, or a reply.

use syn::{GenericArgument, PathArguments, Type};

use crate::{errors::Errors, handler::model::Call};

/// Returns the value's type. A handler of batches has no such value, nor has one that returns an outcome: `of_batches` and `of_outcomes` are the errors.
pub(super) fn value<'c>(
    call: &'c Call,
    of_batches: &str,
    of_outcomes: &str,
    errors: &mut Errors,
) -> &'c Type {
    if let Some(batch) = &call.message.batch {
        errors.at(batch, of_batches);
    }
    let returned = inside_result(&call.returns);
    if is_outcome(returned) {
        errors.at(returned, of_outcomes);
    }
    returned
}

/// Returns `T` of `Result<T, E>`, by any path; else the type itself.
fn inside_result(returned: &Type) -> &Type {
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

/// Returns whether the type is an outcome, or `()`.
fn is_outcome(returned: &Type) -> bool {
    match returned {
        Type::Tuple(tuple) => tuple.elems.is_empty(),
        Type::Path(path) => {
            let last = path.path.segments.last();
            last.is_some_and(|last| last.ident == "bool" || last.ident == "Outcome")
        }
        _ => false,
    }
}
