//! A function's signature without its arguments.

use syn::{Generics, ReturnType, Safety, Signature, Type};

use super::arguments;
use crate::{
    errors::Errors,
    handler::model::{Call, Callee},
};

/// Checks a function or method; `receiver` says whether its first argument is some `self`.
pub(super) fn check(signature: &Signature, receiver: bool, errors: &mut Errors) -> Option<Call> {
    generics(&signature.generics, errors);
    if let Safety::Unsafe(token) = &signature.safety {
        errors.at(
            token,
            "a handler can't be `unsafe`: it is called with whatever the queue holds",
        );
    }
    if let Some(abi) = &signature.abi {
        errors.at(
            abi,
            "a handler is a plain Rust function: leave out `extern`",
        );
    }
    if let Some(variadic) = &signature.variadic {
        errors.at(
            variadic,
            "a handler's arguments are counted: leave out `...`",
        );
    }
    let arguments = arguments::check(signature, receiver, errors);
    let returns = returns(signature, errors);
    let (message, extractors) = arguments?;
    Some(Call {
        callee: Callee::Function(signature.ident.clone()),
        asynchronous: signature.asyncness.is_some(),
        message,
        extractors,
        returns: returns?.clone(),
        publish: None,
        reply: false,
    })
}

/// Refuses the generics of a function or of an `impl` block.
pub(super) fn generics(generics: &Generics, errors: &mut Errors) {
    if generics.params.is_empty() {
        return;
    }
    let lifetimes = generics.lifetimes().count() == generics.params.len();
    let cure = if lifetimes {
        "leave lifetimes to the compiler, as in `Event<'_>`"
    } else {
        "write the types out"
    };
    errors.at(
        &generics.params,
        format!("a handler can't be generic: {cure}"),
    );
}

fn returns<'s>(signature: &'s Signature, errors: &mut Errors) -> Option<&'s Type> {
    match &signature.output {
        ReturnType::Default => {
            errors.here(
                signature.paren_token.span.close(),
                "a handler must say whether its message is done: return `bool` (`true` acks), `Result<bool, E>`, `Outcome` or `Result<Outcome, E>`",
            );
            None
        }
        ReturnType::Type(_, output) => {
            if signature.asyncness.is_none() && is_future(output) {
                errors.at(
                    output,
                    "write `async fn`: a handler that is no `async fn` runs on the blocking pool",
                );
            }
            Some(output)
        }
    }
}

/// `impl Future<…>`, by any path.
fn is_future(output: &Type) -> bool {
    let Type::ImplTrait(output) = output else {
        return false;
    };
    output.bounds.iter().any(|bound| match bound {
        syn::TypeParamBound::Trait(bound) => bound
            .path
            .segments
            .last()
            .is_some_and(|last| last.ident == "Future"),
        _ => false,
    })
}
