//! A field that is an event's group, or the id by which its duplicates are known.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::{
    Data, DeriveInput, Expr, ExprField, ExprLit, Index, Lit, Member, meta::ParseNestedMeta,
    spanned::Spanned,
};

use crate::{errors::Errors, nearest::suggestion};

/// A field of the event, or a field of that one: `customer.id`.
pub(super) struct Part(Vec<Member>);

impl Part {
    /// Reads the value of this key. What is no field of the type is an error at its token.
    pub(super) fn parse(
        meta: &ParseNestedMeta<'_>,
        key: &str,
        input: &DeriveInput,
        errors: &mut Errors,
    ) -> Option<Self> {
        let what = format!("`{key}` names a field of the event, as `{key} = customer_id`");
        let Ok(value) = meta.value() else {
            errors.at(&meta.path, what);
            return None;
        };
        let Ok(value) = value.parse::<Expr>() else {
            errors.at(&meta.path, what);
            return None;
        };
        let mut members = Vec::new();
        if !read(&value, &mut members) {
            errors.at(&value, refusal(key, &value, &what));
            return None;
        }
        let Data::Struct(data) = &input.data else {
            let type_ = &input.ident;
            errors.at(
                &value,
                format!(
                    "`{key}` names a field, and only a struct has the same ones in every value: write `impl loafer::Event for {type_}`"
                ),
            );
            return None;
        };
        let names: Vec<String> = data
            .fields
            .members()
            .map(|member| member.to_token_stream().to_string())
            .collect();
        let first = members.first()?;
        let name = first.to_token_stream().to_string();
        if !names.contains(&name) {
            let known: Vec<&str> = names.iter().map(String::as_str).collect();
            let hint = match known.is_empty() {
                true => "it has none".to_owned(),
                false => suggestion(&name, &known),
            };
            errors.at(
                first,
                format!("`{}` has no field `{name}`: {hint}", input.ident),
            );
            return None;
        }
        Some(Self(members))
    }

    /// Returns the method that gives this field's text as an id of this type.
    pub(super) fn method(&self, method: &str, id: &str) -> TokenStream {
        let span = self.0.last().map_or_else(Span::call_site, Spanned::span);
        let at = span.resolved_at(Span::call_site());
        let (method, id) = (Ident::new(method, at), Ident::new(id, at));
        let this = Ident::new("self", at);
        let fields = &self.0;
        quote_spanned! {at=>
            fn #method(&#this) -> ::core::option::Option<::loafer::message::#id> {
                use loafer::__private::Whole as _;

                ::loafer::__private::Field(&#this #(.#fields)*).text().map(::core::convert::Into::into)
            }
        }
    }
}

/// `customer`, `customer.id`, `self.customer`, `0`; false for anything else.
fn read(value: &Expr, members: &mut Vec<Member>) -> bool {
    match value {
        Expr::Path(path) => match path.path.get_ident() {
            Some(ident) if ident == "self" => true,
            Some(ident) => {
                members.push(Member::Named(ident.clone()));
                true
            }
            None => false,
        },
        Expr::Field(ExprField { base, member, .. }) => {
            let read = read(base, members);
            members.push(member.clone());
            read
        }
        Expr::Lit(ExprLit {
            lit: Lit::Int(number),
            ..
        }) => match number.base10_parse() {
            Ok(index) => {
                members.push(Member::Unnamed(Index {
                    index,
                    span: number.span(),
                }));
                true
            }
            Err(_) => false,
        },
        _ => false,
    }
}

/// Why this is no field.
fn refusal(key: &str, value: &Expr, what: &str) -> String {
    match value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) if syn::parse_str::<Ident>(&text.value()).is_ok() => {
            format!(
                "{what}: leave out the quotes, as `{key} = {}`",
                text.value()
            )
        }
        _ => format!("{what}; for more than a field write `impl loafer::Event` by hand"),
    }
}
