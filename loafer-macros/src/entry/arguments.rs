//! What stands between the parentheses of `main!`.

use proc_macro2::{Ident, TokenStream};
use syn::{
    Expr, Token, bracketed,
    parse::{ParseStream, Parser},
    punctuated::Punctuated,
    token::Bracket,
};

use crate::{errors::Errors, nearest::suggestion};

const FORMS: &str = "write `loafer::main!()`, `loafer::main!(setup)` or `loafer::main!(handlers = [crate_a, crate_b], setup)`";

/// The arguments, checked.
#[derive(Default)]
pub(super) struct Arguments {
    /// The crates whose handlers run.
    pub(super) crates: Vec<Ident>,
    /// Gives the app what its handlers need.
    pub(super) setup: Option<Expr>,
}

impl Arguments {
    pub(super) fn parse(input: TokenStream, errors: &mut Errors) -> Self {
        let mut arguments = Self::default();
        let read = |input: ParseStream<'_>| {
            while !input.is_empty() {
                arguments.read(input, errors)?;
                if !input.is_empty() {
                    input
                        .parse::<Token![,]>()
                        .map_err(|error| syn::Error::new(error.span(), FORMS))?;
                }
            }
            Ok(())
        };
        let whole = read.parse2(input);
        errors.keep(whole);
        arguments
    }

    fn read(&mut self, input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<()> {
        if input.peek(syn::Ident) && input.peek2(Token![=]) && !input.peek2(Token![==]) {
            return self.key(input, errors);
        }
        let setup: Expr = input
            .parse()
            .map_err(|error| syn::Error::new(error.span(), FORMS))?;
        if !matches!(setup, Expr::Path(_) | Expr::Closure(_)) {
            errors.at(&setup, "`setup` is the path of a function, as `async fn setup(app: App) -> anyhow::Result<App>`");
        } else if self.setup.is_some() {
            errors.at(
                &setup,
                "there is one `setup`: call the second from the first",
            );
        }
        self.setup = Some(setup);
        Ok(())
    }

    /// `handlers = [crate_a, crate_b]`.
    fn key(&mut self, input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<()> {
        let key: Ident = input.parse()?;
        _ = input.parse::<Token![=]>()?;
        if key != "handlers" {
            let name = key.to_string();
            errors.at(
                &key,
                format!("unknown key `{name}`: {}", suggestion(&name, &["handlers"])),
            );
        } else if !self.crates.is_empty() {
            errors.at(&key, "`handlers` is set twice");
        } else if self.setup.is_some() {
            errors.at(&key, "`handlers` comes before `setup`");
        }
        if !input.peek(Bracket) {
            return Err(
                input.error("`handlers` is a list of crates, as `handlers = [crate_a, crate_b]`")
            );
        }
        let list;
        _ = bracketed!(list in input);
        let crates = Punctuated::<Ident, Token![,]>::parse_terminated(&list).map_err(|error| {
            syn::Error::new(error.span(), "the name of a crate is expected, with `_` for `-`, as `handlers = [crate_a, crate_b]`")
        })?;
        self.crates.extend(crates);
        Ok(())
    }
}
