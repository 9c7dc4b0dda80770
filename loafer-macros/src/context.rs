//! `#[derive(FromContext)]`: a struct whose fields are extractors is one.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Data, DeriveInput, Index, Member, Type, spanned::Spanned};

use crate::errors::Errors;

/// The struct's implementation of `FromContext`, or what is wrong with it.
pub(crate) fn expand(input: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let Some(input) = errors.keep(syn::parse2::<DeriveInput>(input)) else {
        return quote!(#errors);
    };
    let Data::Struct(data) = &input.data else {
        errors.at(
            &input.ident,
            "only a struct is made of extractors: derive `FromContext` on a struct, or implement it",
        );
        return quote!(#errors);
    };
    let fields: Vec<(Member, &Type)> = data
        .fields
        .members()
        .zip(data.fields.iter().map(|field| &field.ty))
        .collect();
    implementation(&input, &fields)
}

fn implementation(input: &DeriveInput, fields: &[(Member, &Type)]) -> TokenStream {
    let name = &input.ident;
    let (of_impl, of_type, bounds) = input.generics.split_for_impl();
    // All of it at the field's type: so the compiler complains of a wrong one once, and there.
    let extractor = |ty: &Type| quote_spanned!(ty.span()=> <#ty as ::loafer::FromContext>);
    let needs = fields.iter().map(|(_, ty)| {
        let extractor = extractor(ty);
        quote_spanned!(ty.span()=> #extractor::Needs,)
    });
    let found = fields.iter().map(|(_, ty)| {
        let (extractor, app) = (extractor(ty), local("__app", ty));
        quote_spanned!(ty.span()=> #extractor::needs(#app)?,)
    });
    let made = fields.iter().enumerate().map(|(at, (member, ty))| {
        let (at, extractor) = (Index::from(at), extractor(ty));
        let (needs, context) = (local("__needs", ty), local("__context", ty));
        quote_spanned!(ty.span()=> #member: #extractor::from_context(&#needs.#at, #context)?,)
    });
    quote! {
        #[automatically_derived]
        impl #of_impl ::loafer::FromContext for #name #of_type #bounds {
            type Needs = (#(#needs)*);

            fn needs(__app: &::loafer::App) -> ::core::result::Result<Self::Needs, ::loafer::Missing> {
                ::core::result::Result::Ok((#(#found)*))
            }

            fn from_context(
                __needs: &Self::Needs,
                __context: &::loafer::Context<'_>,
            ) -> ::core::result::Result<Self, ::loafer::Rejection> {
                ::core::result::Result::Ok(Self { #(#made)* })
            }
        }
    }
}

/// A name of the expansion's own at a type, also where that came out of another macro.
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
            let expanded = expand(input);
            assert!(
                syn::parse2::<syn::ItemImpl>(expanded.clone()).is_ok(),
                "{expanded}"
            );
        }
    }
}
