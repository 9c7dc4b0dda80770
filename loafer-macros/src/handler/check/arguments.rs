//! A handler's arguments: its message, then extractors.

use syn::{
    FnArg, GenericArgument, PatType, PathArguments, PathSegment, Signature, Type, TypeReference,
    visit::Visit,
};

use crate::{errors::Errors, handler::model::Message};

/// Returns the message and the extractors' types.
pub(super) fn check(
    signature: &Signature,
    receiver: bool,
    errors: &mut Errors,
) -> Option<(Message, Vec<Type>)> {
    let before = errors.count();
    let mut arguments = signature
        .inputs
        .iter()
        .filter_map(|argument| match argument {
            FnArg::Typed(argument) => Some(argument),
            FnArg::Receiver(_) => None,
        });
    let Some(message) = arguments.next() else {
        // A stray `self` has been reported already.
        if !receiver || signature.ident == "handle" {
            errors.here(
                signature.paren_token.span.join(),
                "a handler takes its message as the first argument, as `(friend: Friend)`",
            );
        }
        return None;
    };
    let message = checked_message(message, errors);
    let extractors: Vec<_> = arguments
        .map(|argument| extractor(argument, errors))
        .collect();
    (errors.count() == before).then_some((message, extractors))
}

fn checked_message(argument: &PatType, errors: &mut Errors) -> Message {
    common(argument, errors);
    let whole = peeled(&argument.ty);
    if let Some(inside) = last_segment(whole)
        .filter(|last| last.ident == "Json")
        .and_then(only_argument)
    {
        let inside = quote::quote!(#inside).to_string().replace(' ', "");
        errors.instead(
            whole,
            format!("a message is taken as what it is decoded to: write `{inside}`; that it is JSON is the attribute's to say, as `translator = Json`, and the default"),
        );
    }
    let Type::Reference(reference) = whole else {
        return message(whole, false);
    };
    if let Some(mutability) = &reference.mutability {
        errors.at(
            mutability,
            "a message is decoded for this call alone: take it by value, as `mut friend: Friend`",
        );
    }
    if let Some(lifetime) = reference
        .lifetime
        .as_ref()
        .filter(|lifetime| lifetime.ident != "_")
    {
        errors.at(
            lifetime,
            "a message lives as long as its call: leave out the lifetime",
        );
    }
    if borrows_the_payload(reference) {
        Message {
            decoded: whole.clone(),
            batch: None,
            by_reference: false,
        }
    } else {
        message(peeled(&reference.elem), true)
    }
}

/// A batch is known by its name, for example `Batch<Friend>`: the macro must know what is decoded before any type is known.
fn message(whole: &Type, by_reference: bool) -> Message {
    let of = last_segment(whole)
        .filter(|last| last.ident == "Batch")
        .and_then(only_argument);
    Message {
        decoded: of.unwrap_or(whole).clone(),
        batch: of.map(|_| whole.clone()),
        by_reference,
    }
}

/// `Batch` without the type of its messages.
pub(super) fn is_bare_batch(message: &Message) -> bool {
    last_segment(&message.decoded)
        .is_some_and(|last| last.ident == "Batch" && last.arguments.is_none())
}

fn extractor(argument: &PatType, errors: &mut Errors) -> Type {
    common(argument, errors);
    let whole = peeled(&argument.ty);
    if let Type::Reference(reference) = whole {
        errors.at(
            &reference.and_token,
            "an extractor is taken by value: leave out the `&`",
        );
    }
    whole.clone()
}

/// Checks what holds for every argument.
fn common(argument: &PatType, errors: &mut Errors) {
    if let Some(cfg) = argument
        .attrs
        .iter()
        .find(|attribute| attribute.path().is_ident("cfg"))
    {
        errors.at(cfg, "an argument of a handler can't depend on a `#[cfg]`: write the function twice, each with its `#[cfg]`");
    }
    Unnamed(errors).visit_type(&argument.ty);
}

/// Finds types that can't be named beside the function, however deep.
struct Unnamed<'e>(&'e mut Errors);

impl<'t> Visit<'t> for Unnamed<'_> {
    fn visit_type_impl_trait(&mut self, unnamed: &'t syn::TypeImplTrait) {
        self.0.at(
            unnamed,
            "an argument of a handler has a type of its own: write it out instead of `impl`",
        );
    }

    fn visit_path(&mut self, path: &'t syn::Path) {
        if let Some(first) = path.segments.first().filter(|first| first.ident == "Self") {
            self.0
                .at(&first.ident, "write the type's name instead of `Self`");
        }
        syn::visit::visit_path(self, path);
    }
}

/// `&str` and `&[T]` are decoded as references: they can point only at the payload.
fn borrows_the_payload(reference: &TypeReference) -> bool {
    let target = peeled(&reference.elem);
    matches!(target, Type::Slice(_)) || last_segment(target).is_some_and(|last| last.ident == "str")
}

fn last_segment(of: &Type) -> Option<&PathSegment> {
    match of {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    }
}

/// `T` of `Batch<T>`.
fn only_argument(of: &PathSegment) -> Option<&Type> {
    match &of.arguments {
        PathArguments::AngleBracketed(arguments) if arguments.args.len() == 1 => {
            match arguments.args.first() {
                Some(GenericArgument::Type(only)) => Some(peeled(only)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The type without parentheses, and without the invisible ones around a macro's `$t:ty`.
fn peeled(whole: &Type) -> &Type {
    match whole {
        Type::Group(group) => peeled(&group.elem),
        Type::Paren(paren) => peeled(&paren.elem),
        other => other,
    }
}
