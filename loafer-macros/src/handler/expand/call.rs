//! The function that makes a handler ready: what its extractors keep from startup, and the call for one message.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Index, Type, ext::IdentExt, parse_quote, spanned::Spanned};

use super::returned;
use crate::handler::model::{Call, Callee, Handler};

/// `fn __ready`. Names of its own begin with `__`: the user's function may be called `message` or `ready`.
pub(super) fn ready(handler: &Handler) -> TokenStream {
    let call = &handler.call;
    let json = parse_quote!(::loafer::Json);
    let translator = named(handler.translator.as_ref().unwrap_or(&json));
    let (checks, body, tuple) = (checks(handler), call.body(), call.needs());
    // What keeps a call from being sent between threads is reported at the function's name.
    let at = call.callee.span();
    let (env, raw) = (local("__env", at), local("__raw", at));
    let form = match (call.asynchronous, &call.message.batch) {
        (true, None) => "asynchronous",
        (false, None) => "blocking",
        (true, Some(_)) => "batches",
        (false, Some(_)) => "blocking_batches",
    };
    let form = Ident::new(form, at);
    // The loop runs once: its body ends with `break`. It has no label, since macros in the body could not name it.
    let body = quote!(loop { #body });
    // A pointer to a function, which captures nothing: so the code that keeps handlers is compiled once for all of them.
    let call = match (call.asynchronous, &call.message.batch) {
        (true, None) => quote_spanned! {at=>
            |#env| __loafer::Calls::new(#env, |#env, #raw| async move { #body })
        },
        (true, Some(_)) => {
            quote_spanned!(at=> |#env, #raw| __loafer::sent(async move { #body }))
        }
        (false, _) => quote_spanned!(at=> |#env, #raw| #body),
    };
    let resources = local("__resources", at);
    let ready =
        quote_spanned!(at=> __loafer::#form(#resources, #translator.translator(), #tuple, #call));
    let answered = match &handler.on_error {
        Some(path) => {
            let handler = local("__handler", path.span());
            quote_spanned!(path.span()=> __loafer::on_error(#path, #handler))
        }
        None => quote!(__handler),
    };
    quote! {
        fn __ready(__resources: &::loafer::extract::Resources) -> __loafer::Prepared {
            #checks
            let __handler = #ready;
            ::core::result::Result::Ok(#answered)
        }
    }
}

/// What the user's types must be. The compiler reports this here and nowhere else: beyond these lines a stand-in replaces a wrong type.
/// Nobody calls the closure, so it becomes no code. It stands beside the making of the handler: after errors here, the compiler reports no others there.
fn checks(handler: &Handler) -> Option<TokenStream> {
    let translator = handler.translator.as_ref().map(|ty| (ty, "is_translator"));
    let instance = handler
        .call
        .callee
        .instance()
        .map(|ty| (ty, "is_shareable"));
    let message = &handler.call.message;
    let extractors = handler.call.extractors.iter().map(|ty| {
        if message.batch.is_some() {
            return quote_spanned!(ty.span()=> __loafer::is_app_extractor::<#ty>(););
        }
        // An extractor as first argument is one mistake: what follows it is not reported too.
        let first = named(&message.decoded);
        quote_spanned!(ty.span()=> #first.followed_by::<#ty>();)
    });
    let others = translator
        .into_iter()
        .chain(instance)
        .chain(message.batch.as_ref().map(|ty| (ty, "is_batch")));
    let others = others.map(|(ty, check)| {
        let check = Ident::new(check, ty.span());
        quote_spanned!(ty.span()=> __loafer::#check::<#ty>();)
    });
    let all: Vec<_> = others.chain(extractors).collect();
    (!all.is_empty()).then(|| {
        quote! {
            let _ = || {
                #(#all)*
            };
        }
    })
}

/// Returns the value, or ends the call.
pub(super) fn given(value: &TokenStream) -> TokenStream {
    quote!(__loafer::given!(#value))
}

/// The type, with the methods that its position needs.
fn named(ty: &Type) -> TokenStream {
    quote_spanned!(ty.span()=> __loafer::named::<#ty>())
}

impl Call {
    /// The tuple of what is kept from startup: the instance of a handler type first, then one for each extractor, then the bus of one that publishes.
    fn needs(&self) -> TokenStream {
        let instance = self
            .callee
            .instance()
            .map(named)
            .map(|named| quote!(#named.instance(__resources)?,));
        let extractors = self
            .extractors
            .iter()
            .map(named)
            .map(|named| quote!(#named.needs(__resources)?,));
        let bus = returned::goes_out(self).then(|| {
            quote!(<::loafer::Bus as ::loafer::FromContext>::needs(
                __resources
            )?,)
        });
        quote!((#instance #(#extractors)* #bus))
    }

    /// Opens, decodes, extracts, calls. What the call does not borrow is gone before it is awaited.
    fn body(&self) -> TokenStream {
        let raw = if self.asynchronous {
            quote!(&__raw)
        } else {
            quote!(__raw)
        };
        let wait = self.asynchronous.then(|| quote!(.await));
        let open = match self.message.batch {
            Some(_) => quote!(__env.open_all(#raw)),
            None => given(&quote!(__env.open(#raw))),
        };
        let decoded = self.decoded(&raw);
        let (kept, message) = if self.message.by_reference {
            (Some(quote!(let __message = #decoded;)), quote!(&__message))
        } else {
            (None, decoded)
        };
        let exit = returned::exit(self, &raw);
        let context = (!self.extractors.is_empty() && self.message.batch.is_none())
            .then(|| quote!(let __context = __env.context(&__opened, #raw);));
        let extracted = self.extracted();
        let callee = &self.callee;
        let instance = self.callee.instance().map(|_| quote!(&__env.needs().0,));
        let said = Ident::new("__said", self.returns.span());
        let outcome = returned::returned(self, &raw);
        quote! {
            let __opened = #open;
            #kept
            #exit
            let __call = {
                #context
                #callee(#instance #message, #(#extracted),*)
            };
            let #said = __call #wait;
            #outcome
        }
    }

    fn decoded(&self, raw: &TokenStream) -> TokenStream {
        let ty = &self.message.decoded;
        let (env, opened) = (local("__env", ty.span()), local("__opened", ty.span()));
        match &self.message.batch {
            None => {
                let decoded = quote_spanned!(ty.span()=> __loafer::decode::<#ty, _>(#env.translator(), &#opened));
                given(&decoded)
            }
            Some(batch) => {
                let decoded = quote_spanned!(ty.span()=> __loafer::decode_batch::<#ty, _, _>(#raw, &#env, &#opened));
                let (decoded, batch) = (given(&decoded), named(batch));
                given(&quote!(#batch.batch(#decoded)))
            }
        }
    }

    fn extracted(&self) -> impl Iterator<Item = TokenStream> {
        let first = usize::from(self.callee.instance().is_some());
        self.extractors.iter().zip(first..).map(|(ty, at)| {
            let (at, named) = (Index::from(at), named(ty));
            match self.message.batch {
                None => given(&quote!(#named.extract(&__env.needs().#at, &__context))),
                Some(_) => given(&quote!(#named.of_app(&__env.needs().#at))),
            }
        })
    }
}

impl Callee {
    pub(super) fn instance(&self) -> Option<&Type> {
        match self {
            Self::Function(_) => None,
            Self::Method(of) => Some(of),
        }
    }

    /// Returns the last part of its name in logs and in `routes`.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Function(name) => name.unraw().to_string(),
            Self::Method(of) => short_name(of),
        }
    }
}

impl ToTokens for Callee {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(match self {
            Self::Function(name) => quote!(#name),
            Self::Method(of) => quote!(<#of>::handle),
        });
    }
}

/// Returns a name of the expansion's own at the user's token, also if that token came out of another macro.
fn local(name: &str, at: Span) -> Ident {
    Ident::new(name, at.resolved_at(Span::call_site()))
}

/// Returns the last part of a type's path.
pub(super) fn short_name(ty: &Type) -> String {
    let last = match ty {
        Type::Path(path) => path.path.segments.last().map(ToTokens::to_token_stream),
        _ => None,
    };
    last.unwrap_or_else(|| ty.to_token_stream())
        .to_string()
        .replace(' ', "")
}
