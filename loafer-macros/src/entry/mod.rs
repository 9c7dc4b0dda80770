//! `loafer::main!`: the function `main`.

mod arguments;

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use self::arguments::Arguments;
use crate::errors::Errors;

/// Returns `main`, or an empty `main` beside everything that is wrong.
pub(crate) fn expand(input: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let Arguments { crates, setup } = Arguments::parse(input, &mut errors);
    if errors.count() > 0 {
        // Without a `main` the compiler would report one error more.
        return quote!(#errors fn main() {});
    }
    let run = match &setup {
        Some(setup) => {
            quote_spanned!(setup.span()=> ::loafer::__private::run(__NAME, __PACKAGE, __VERSION, #setup))
        }
        None => quote!(::loafer::__private::run(
            __NAME,
            __PACKAGE,
            __VERSION,
            ::loafer::__private::no_setup
        )),
    };
    // The linker drops a crate that no code uses, together with its handlers.
    let uses = crates
        .iter()
        .map(|name| quote_spanned!(name.span()=> use ::#name as _;));
    // Inside of another function, nobody would call `main`. Cargo says which crates are programs; rustdoc puts its examples into a function.
    let at_the_top = std::env::var_os("CARGO_BIN_NAME").map(|_| {
        quote! {
            const _: () = {
                #[allow(dead_code, reason = "expanded")]
                fn __is_main() {
                    ::loafer::__private::is_main(self::main);
                }
            };
        }
    });
    quote! {
        #(#uses)*

        #at_the_top

        fn main() -> ::std::process::ExitCode {
            const __PACKAGE: &::core::primitive::str = ::core::env!("CARGO_PKG_NAME");
            const __NAME: &::core::primitive::str = match ::core::option_env!("CARGO_BIN_NAME") {
                ::core::option::Option::Some(name) => name,
                ::core::option::Option::None => __PACKAGE,
            };
            const __VERSION: &::core::primitive::str = ::core::env!("CARGO_PKG_VERSION");
            #run
        }
    }
}
