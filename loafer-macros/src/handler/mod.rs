//! `#[handler]`: parse → model → check → expand.

mod check;
mod expand;
mod model;
mod parse;

use proc_macro2::TokenStream;
use quote::quote;

use crate::errors::Errors;

/// Returns the user's item unchanged, and beside it its registration or everything that is wrong with it.
pub(crate) fn expand(attribute: TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let keys = parse::Keys::parse(attribute, &mut errors);
    let parsed = parse::Item::parse(item.clone(), &mut errors);
    let handler = parsed.and_then(|parsed| check::check(keys, parsed, &mut errors));
    match handler {
        Some(handler) if errors.count() == 0 => {
            let registration = expand::expand(&handler);
            quote!(#item #registration)
        }
        _ => {
            let item = errors.beside(item);
            quote!(#item #errors)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the errors' texts, and asserts that the item is still there.
    fn errors_of(attribute: TokenStream, item: TokenStream) -> Vec<String> {
        let expanded = expand(attribute.clone(), &item).to_string();
        assert!(expanded.starts_with(&item.to_string()), "{expanded}");
        let mut errors = Errors::default();
        let keys = parse::Keys::parse(attribute, &mut errors);
        _ = parse::Item::parse(item, &mut errors)
            .and_then(|item| check::check(keys, item, &mut errors));
        assert_eq!(errors.count(), expanded.matches("compile_error").count());
        errors.texts()
    }

    #[test]
    fn the_item_survives_whatever_is_wrong() {
        assert_eq!(
            errors_of(quote!(queue = ""), quote!(fn f<T>(&self) { let x = ; })).len(),
            5
        );
        assert_eq!(
            errors_of(
                quote!(route = "a"),
                quote!(
                    enum Friend {}
                )
            )
            .len(),
            1
        );
        assert_eq!(
            errors_of(
                quote!(route = "a"),
                quote!(
                    static FRIEND: u8 = 1;
                )
            )
            .len(),
            1
        );
        assert_eq!(errors_of(quote!(route = "a"), quote!()).len(), 1);
    }

    #[test]
    fn a_variadic_function_is_refused() {
        let errors = errors_of(
            quote!(route = "a"),
            quote!(
                unsafe extern "C" fn f(a: u8, ...) -> bool {}
            ),
        );
        assert_eq!(errors.len(), 3, "{errors:?}");
    }

    #[test]
    fn a_good_handler_is_registered_under_its_cfgs() {
        let item = quote!(
            #[cfg(unix)]
            async fn r#type(r#match: Friend<'_>, Metadata { .. }: Metadata) -> bool {}
        );
        let expanded = expand(quote!(route = "a"), &item).to_string();
        assert!(
            expanded.starts_with(&format!("{item} # [cfg (unix)] const _ : () =")),
            "{expanded}"
        );
        assert!(
            expanded.contains("r#type (") && expanded.contains("\"type\""),
            "{expanded}"
        );
    }
    /// Returns what is added to a handler, formatted. A formatter does not touch the arguments of macros, so macros are replaced by functions.
    fn added(attribute: TokenStream, item: &TokenStream) -> String {
        let expanded = expand(attribute, item).to_string();
        let added = expanded.strip_prefix(&item.to_string()).unwrap();
        let submit = "__loafer :: inventory :: submit !";
        assert!(added.contains(submit), "{added}");
        let added = added.replace(submit, "fn submit ()");
        let added = added
            .replace("given !", "given")
            .replace("place !", "place");
        prettyplease::unparse(&syn::parse_str(&added).unwrap())
    }

    #[test]
    fn a_typical_handler_adds_sixty_lines_at_most() {
        let item = quote!(
            async fn order_placed(
                order: Order,
                metadata: Metadata,
                prices: State<Prices>,
            ) -> anyhow::Result<InvoiceWanted> {
            }
        );
        let keys = quote!(
            route = "order-placed",
            translator = Sns,
            publish,
            on_error = give_up
        );
        let added = added(keys, &item);
        let lines = added.lines().count();
        assert!(lines <= 60, "{lines} lines:\n{added}");
    }

    #[test]
    fn options_become_setters_of_what_the_provider_knows() {
        let item = quote!(
            async fn order_closed(cents: u64) -> bool {}
        );
        let keys = quote!(
            route = "order-closed",
            provider = Amqp,
            lease = "30s",
            options(
                exchange = "event",
                binding = ["order.closed", "order.paid"],
                arguments = { "x-max-length" = 10_000, "x-overflow" = "reject-publish" },
            )
        );
        let added = added(keys, &item);
        let expected = "
                ::loafer::RouteOptions::new()
                    .lease(::core::time::Duration::new(30, 0))
                    .broker_options::<
                        Amqp,
                    >(
                        <Amqp as ::loafer::broker::Broker>::Options::default()
                            .exchange(\"event\")
                            .binding([\"order.closed\", \"order.paid\"])
                            .arguments([
                                (\"x-max-length\", (10_000).into()),
                                (\"x-overflow\", (\"reject-publish\").into()),
                            ]),
                    ),
        ";
        let lines = |text: &str| {
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            lines.collect::<Vec<_>>().join("\n")
        };
        assert!(lines(&added).contains(&lines(expected)), "{added}");
        assert!(added.lines().count() < 60, "{added}");
    }
}
