//! The item under the attribute, up to its signature. Bodies stay tokens, so that a half-written one does no harm.

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use syn::{
    Attribute, Generics, Signature, Token, Type, Visibility,
    parse::{Parse, ParseStream, Parser},
};

use crate::errors::Errors;

/// The item under the attribute.
pub(in crate::handler) struct Item {
    /// Its `#[cfg]`s.
    pub(in crate::handler) cfgs: Vec<Attribute>,
    pub(in crate::handler) kind: ItemKind,
}

pub(in crate::handler) enum ItemKind {
    Function(Box<Signature>),
    Impl(Box<Block>),
}

/// What matters of an `impl` block.
pub(in crate::handler) struct Block {
    pub(in crate::handler) generics: Generics,
    /// The trait; `None` means a type's own block.
    pub(in crate::handler) of_trait: Option<Type>,
    pub(in crate::handler) of_type: Type,
    /// Its method `handle`.
    pub(in crate::handler) handle: Option<Signature>,
}

impl Item {
    pub(in crate::handler) fn parse(item: TokenStream, errors: &mut Errors) -> Option<Self> {
        errors.keep(syn::parse2(item))
    }
}

impl Parse for Item {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let cfgs = input
            .call(Attribute::parse_outer)?
            .into_iter()
            .filter(|attribute| attribute.path().is_ident("cfg"));
        let cfgs = cfgs.collect();
        let kind = if begins_impl(input) {
            parse_impl(input)?
        } else if begins_function(input) {
            _ = input.parse::<Visibility>()?;
            ItemKind::Function(Box::new(input.parse()?))
        } else {
            // At the attribute: the item itself may be long.
            return Err(syn::Error::new(
                Span::call_site(),
                "`#[handler]` goes on a function, or on the `impl` block of a type with a method `handle`",
            ));
        };
        // The body.
        _ = input.parse::<TokenStream>()?;
        Ok(Self { cfgs, kind })
    }
}

fn begins_impl(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    _ = ahead.parse::<Option<Token![unsafe]>>();
    ahead.peek(Token![impl])
}

fn begins_function(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    _ = ahead.parse::<Visibility>();
    // `const`, `async`, `unsafe`, `extern "C"`, then `fn`.
    for _ in 0..5 {
        if ahead.peek(Token![fn]) {
            return true;
        }
        _ = ahead.parse::<TokenTree>();
    }
    false
}

fn parse_impl(input: ParseStream<'_>) -> syn::Result<ItemKind> {
    _ = input.parse::<Option<Token![unsafe]>>()?;
    _ = input.parse::<Token![impl]>()?;
    let mut generics: Generics = if input.peek(Token![<]) {
        input.parse()?
    } else {
        Generics::default()
    };
    let (mut of_trait, mut of_type) = (None, input.parse()?);
    if input.peek(Token![for]) {
        _ = input.parse::<Token![for]>()?;
        (of_trait, of_type) = (Some(of_type), input.parse()?);
    }
    generics.where_clause = input.parse()?;
    let body: Group = input.parse()?;
    let find = |body: ParseStream<'_>| Ok(find_handle(body));
    let handle = find.parse2(body.stream())?;
    Ok(ItemKind::Impl(Box::new(Block {
        generics,
        of_trait,
        of_type,
        handle,
    })))
}

/// Looks for `fn handle`, passing over whatever else there is.
fn find_handle(body: ParseStream<'_>) -> Option<Signature> {
    let mut found = None;
    while !body.is_empty() {
        found = found.or_else(|| {
            method(&body.fork())
                .ok()
                .filter(|method| method.ident == "handle")
        });
        pass_item(body);
    }
    found
}

fn method(input: ParseStream<'_>) -> syn::Result<Signature> {
    _ = input.call(Attribute::parse_outer)?;
    _ = input.parse::<Visibility>()?;
    input.parse()
}

/// Passes over one item: to its body or its semicolon. A constant's braces are no body.
fn pass_item(input: ParseStream<'_>) {
    let mut value = false;
    while let Ok(token) = input.parse::<TokenTree>() {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == ';' => return,
            TokenTree::Punct(punct) if punct.as_char() == '=' => value = true,
            TokenTree::Group(group) if !value && group.delimiter() == Delimiter::Brace => return,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    fn parsed(item: TokenStream) -> Item {
        let mut errors = Errors::default();
        let item = Item::parse(item, &mut errors);
        assert_eq!(errors.texts(), Vec::<String>::new());
        item.expect("an item")
    }

    #[test]
    fn a_half_written_body_is_no_matter() {
        let item = parsed(
            quote!(#[cfg(test)] #[doc = "a"] pub(crate) async fn f(a: u8) -> bool { let x = ; a. }),
        );
        assert_eq!(item.cfgs.len(), 1);
        assert!(matches!(item.kind, ItemKind::Function(signature) if signature.ident == "f"));
    }

    #[test]
    fn handle_is_found_among_other_items() {
        let item = parsed(quote! {
            impl Friends {
                const ALL: [u8; 2] = { [1, 2] };
                type Never = !;
                some::macro_call! { fn handle() }
                fn handles(&self) -> bool { self. }
                #[inline]
                pub(crate) async fn handle(&self, a: u8) -> bool { let x = ; }
                fn after(&self) {}
            }
        });
        let ItemKind::Impl(block) = item.kind else {
            panic!("no impl block")
        };
        assert!(
            block
                .handle
                .is_some_and(|handle| handle.inputs.len() == 2 && handle.asyncness.is_some())
        );
    }

    #[test]
    fn a_block_without_handle_is_seen() {
        let ItemKind::Impl(block) = parsed(quote!(
            unsafe impl<T> Send for Friends<T> where T: Send {}
        ))
        .kind
        else {
            panic!("no impl block")
        };
        assert!(
            block.of_trait.is_some() && block.handle.is_none() && block.generics.params.len() == 1
        );
    }
}
