//! `#[derive(FromContext)]` makes a struct of extractors an extractor; `#[derive(OptionalFromContext)]` makes it optional too.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Data, DeriveInput, Generics, Index, Member, Type, spanned::Spanned};

use crate::errors::Errors;

/// The struct's implementation of `FromContext`, or what is wrong with it.
pub(crate) fn expand(input: TokenStream) -> TokenStream {
    of_struct(input, "FromContext", implementation)
}

/// The struct's implementation of `OptionalFromContext`, or what is wrong with it.
pub(crate) fn expand_optional(input: TokenStream) -> TokenStream {
    of_struct(input, "OptionalFromContext", optional)
}

type Fields<'i> = [(Member, &'i Type)];

fn of_struct(
    input: TokenStream,
    derived: &str,
    implementation: fn(&DeriveInput, &Fields<'_>) -> TokenStream,
) -> TokenStream {
    let mut errors = Errors::default();
    let Some(input) = errors.keep(syn::parse2::<DeriveInput>(input)) else {
        return quote!(#errors);
    };
    let Data::Struct(data) = &input.data else {
        errors.at(
            &input.ident,
            format!(
                "only a struct is made of extractors: derive `{derived}` on a struct, or implement it"
            ),
        );
        return quote!(#errors);
    };
    let types = data.fields.iter().map(|field| &field.ty);
    let fields: Vec<_> = data.fields.members().zip(types).collect();
    implementation(&input, &fields)
}

fn implementation(input: &DeriveInput, fields: &Fields<'_>) -> TokenStream {
    let name = &input.ident;
    let generics = bounded(&input.generics, fields, "FromContext");
    let (of_impl, of_type, bounds) = generics.split_for_impl();
    let extractor = |ty: &Type| quote_spanned!(ty.span()=> <#ty as ::loafer::FromContext>);
    let needs = fields.iter().map(|(_, ty)| {
        let extractor = extractor(ty);
        quote_spanned!(ty.span()=> #extractor::Needs,)
    });
    // Its fields are private, so that a public struct may have state of a private type.
    let (kept, needs, make) = if input.generics.params.is_empty() {
        let kept = quote! {
            #[doc(hidden)]
            #[allow(missing_debug_implementations, private_bounds, unreachable_pub, reason = "expanded")]
            pub struct __Needs(#(#needs)*) #bounds;
        };
        (Some(kept), quote!(__Needs), Some(quote!(__Needs)))
    } else {
        (None, quote!((#(#needs)*)), None)
    };
    let found = fields.iter().map(|(_, ty)| {
        let (extractor, app) = (extractor(ty), local("__resources", ty));
        quote_spanned!(ty.span()=> #extractor::needs(#app)?,)
    });
    let made = fields.iter().enumerate().map(|(at, (member, ty))| {
        let (at, extractor) = (Index::from(at), extractor(ty));
        let (needs, context) = (local("__needs", ty), local("__context", ty));
        quote_spanned!(ty.span()=> #member: #extractor::from_context(&#needs.#at, #context)?,)
    });
    quote! {
        const _: () = {
        #kept

        #[automatically_derived]
        impl #of_impl ::loafer::FromContext for #name #of_type #bounds {
            type Needs = #needs;

            fn needs(__resources: &::loafer::extract::Resources) -> ::core::result::Result<Self::Needs, ::loafer::extract::Missing> {
                ::core::result::Result::Ok(#make (#(#found)*))
            }

            fn from_context(
                __needs: &Self::Needs,
                __context: &::loafer::extract::Context<'_>,
            ) -> ::core::result::Result<Self, ::loafer::extract::Rejection> {
                ::core::result::Result::Ok(Self { #(#made)* })
            }
        }
        };
    }
}

/// Implements `OptionalFromContext`: the struct is absent if one of its fields is.
fn optional(input: &DeriveInput, fields: &Fields<'_>) -> TokenStream {
    let name = &input.ident;
    let generics = bounded(&input.generics, fields, "OptionalFromContext");
    let (of_impl, of_type, bounds) = generics.split_for_impl();
    let field = |ty: &Type, found: TokenStream| {
        quote_spanned! {ty.span()=> match #found? {
            ::core::option::Option::Some(found) => found,
            ::core::option::Option::None => return ::core::result::Result::Ok(::core::option::Option::None),
        }}
    };
    let extractor =
        |ty: &Type| quote_spanned!(ty.span()=> <#ty as ::loafer::extract::OptionalFromContext>);
    let found = fields.iter().map(|(_, ty)| {
        let (extractor, app) = (extractor(ty), local("__resources", ty));
        field(
            ty,
            quote_spanned!(ty.span()=> #extractor::optional_needs(#app)),
        )
    });
    let needs = if input.generics.params.is_empty() {
        let at = (0..fields.len()).map(Index::from);
        quote!({
            type __Needs = <#name as ::loafer::FromContext>::Needs;
            __Needs { #(#at: #found,)* }
        })
    } else {
        quote!((#(#found,)*))
    };
    let made = fields.iter().enumerate().map(|(at, (member, ty))| {
        let (at, extractor) = (Index::from(at), extractor(ty));
        let (needs, context) = (local("__needs", ty), local("__context", ty));
        let made =
            quote_spanned!(ty.span()=> #extractor::optional_from_context(&#needs.#at, #context));
        let made = field(ty, made);
        quote_spanned!(ty.span()=> #member: #made)
    });
    quote! {
        #[automatically_derived]
        impl #of_impl ::loafer::extract::OptionalFromContext for #name #of_type #bounds {
            fn optional_needs(
                __resources: &::loafer::extract::Resources,
            ) -> ::core::result::Result<::core::option::Option<Self::Needs>, ::loafer::extract::Missing> {
                ::core::result::Result::Ok(::core::option::Option::Some(#needs))
            }

            fn optional_from_context(
                __needs: &Self::Needs,
                __context: &::loafer::extract::Context<'_>,
            ) -> ::core::result::Result<::core::option::Option<Self>, ::loafer::extract::Rejection> {
                ::core::result::Result::Ok(::core::option::Option::Some(Self { #(#made,)* }))
            }
        }
    }
}

/// Returns the struct's generics, with this bound on each field's type. The compiler reports a wrong type here, once; the rest relies on it.
fn bounded(generics: &Generics, fields: &Fields<'_>, bound: &str) -> Generics {
    let mut generics = generics.clone();
    let bounds = &mut generics.make_where_clause().predicates;
    for (_, ty) in fields {
        let bound = Ident::new(bound, ty.span());
        bounds.push(syn::parse_quote_spanned!(ty.span()=> #ty: ::loafer::extract::#bound));
    }
    generics
}

/// Returns a name of the expansion's own at a type, also if the type came out of another macro.
fn local(name: &str, at: &Type) -> Ident {
    Ident::new(name, at.span().resolved_at(Span::call_site()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_enum_is_refused() {
        let expanded = expand(quote!(
            enum Either {
                A,
                B,
            }
        ))
        .to_string();
        assert!(
            expanded.contains("only a struct is made of extractors"),
            "{expanded}"
        );
    }

    #[test]
    fn fields_by_name_and_by_place_are_extracted() {
        for input in [
            quote!(
                struct Common {
                    pool: State<Pool>,
                    metadata: Metadata,
                }
            ),
            quote!(
                struct Common(State<Pool>, Metadata);
            ),
            quote!(
                struct Common;
            ),
        ] {
            for expanded in [expand(input.clone()), expand_optional(input)] {
                assert!(
                    syn::parse2::<syn::Item>(expanded.clone()).is_ok(),
                    "{expanded}"
                );
            }
        }
    }
}
