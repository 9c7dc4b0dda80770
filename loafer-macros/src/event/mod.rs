//! `#[derive(Event)]`: parse → model → expand.

mod parse;
mod part;

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{DeriveInput, LitInt, LitStr, Type};

use self::part::Part;
use crate::errors::Errors;

/// What the attribute says of a type.
struct Event {
    topic: LitStr,
    /// `None` means 1.
    version: Option<LitInt>,
    /// `None` means `Json`.
    encoding: Option<Type>,
    /// `None` means that it has no group.
    group: Option<Part>,
    /// `None` means that no two values are duplicates.
    deduplication_id: Option<Part>,
}

/// Returns the type's implementation of `Event`, or everything that is wrong with its attribute.
pub(crate) fn expand(input: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let Some(input) = errors.keep(syn::parse2::<DeriveInput>(input)) else {
        return quote!(#errors);
    };
    let event = parse::event(&input, &mut errors);
    match event {
        Some(event) if errors.count() == 0 => implementation(&input, &event),
        _ => quote!(#errors),
    }
}

fn implementation(input: &DeriveInput, event: &Event) -> TokenStream {
    let (name, Event { topic, version, .. }) = (&input.ident, event);
    let (of_impl, of_type, bounds) = input.generics.split_for_impl();
    let version = version
        .as_ref()
        .map(|version| quote!(const VERSION: u32 = #version;));
    let encoding = match &event.encoding {
        Some(encoding) => quote!(#encoding),
        // That the type is no `Serialize` is reported at its name.
        None => quote_spanned!(name.span()=> ::loafer::Json),
    };
    let group = event.group.as_ref();
    let group = group.map(|part| part.method("group", "GroupId"));
    let deduplication_id = event.deduplication_id.as_ref();
    let deduplication_id =
        deduplication_id.map(|part| part.method("deduplication_id", "DeduplicationId"));
    quote! {
        impl #of_impl ::loafer::Event for #name #of_type #bounds {
            type Encoding = #encoding;
            const TOPIC: &'static str = #topic;
            #version
            #group
            #deduplication_id
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors_of(input: TokenStream) -> Vec<String> {
        let mut errors = Errors::default();
        let input = syn::parse2(input).unwrap();
        _ = parse::event(&input, &mut errors);
        errors.texts()
    }

    #[test]
    fn topic_and_version_become_constants() {
        let expanded = expand(quote! {
            #[event(topic = "friend-created", version = 2)]
            struct FriendCreated<'a, T: Clone>(&'a T);
        });
        let expected = quote! {
            impl<'a, T: Clone> ::loafer::Event for FriendCreated<'a, T> {
                type Encoding = ::loafer::Json;
                const TOPIC: &'static str = "friend-created";
                const VERSION: u32 = 2;
            }
        };
        assert_eq!(expanded.to_string(), expected.to_string());
    }

    #[test]
    fn a_missing_topic_is_suggested_from_the_name() {
        let errors = errors_of(quote!(
            struct HTTPOrderPlaced2;
        ));
        assert_eq!(errors.len(), 1);
        assert!(
            errors[0].contains("topic = \"http-order-placed2\""),
            "{errors:?}"
        );
    }

    #[test]
    fn fields_become_group_and_deduplication_id() {
        for (group, id) in [
            (quote!(customer), quote!(id)),
            (quote!(customer.id), quote!(self.id)),
        ] {
            let expanded = expand(quote! {
                #[event(topic = "paid.fifo", group = #group, deduplication_id = #id)]
                struct Paid { customer: Customer, id: u64 }
            });
            let expanded: syn::ItemImpl = syn::parse2(expanded).unwrap();
            assert_eq!(expanded.items.len(), 4);
        }
    }

    #[test]
    fn what_is_no_field_is_reported_with_the_nearest() {
        let errors = errors_of(quote! {
            #[event(topic = "a", group = custmer, deduplication_id = "id")]
            struct Paid { customer: String, id: u64 }
        });
        assert!(errors[0].contains("did you mean `customer`?"), "{errors:?}");
        assert!(errors[1].contains("`deduplication_id = id`"), "{errors:?}");
        let of_enum = errors_of(quote! {
            #[event(topic = "a", group = customer)]
            enum Paid { Late }
        });
        assert!(
            of_enum[0].contains("impl loafer::Event for Paid"),
            "{of_enum:?}"
        );
    }

    #[test]
    fn every_mistake_is_reported_once() {
        let errors = errors_of(quote! {
            #[event(topc = "a", version = 0)]
            #[event(topic = "", version = "1", encoding = "Json")]
            struct Friend;
        });
        assert_eq!(errors.len(), 5, "{errors:?}");
    }
}
