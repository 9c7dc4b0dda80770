//! The options of the route, as the attribute sets them.

use std::time::Duration;

use proc_macro2::{Literal, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Type, spanned::Spanned};

use crate::handler::model::{
    Backoff, BrokerOption, GroupBy, Handler, On, Undecodable, Unmatched, Value,
};

/// Returns `.options(…)`; `None` means that the attribute sets none.
pub(super) fn options(handler: &Handler) -> Option<TokenStream> {
    let options = &handler.options;
    let whole = |number: usize| Literal::usize_unsuffixed(number);
    let set = [
        options.queue.as_ref().map(|queue| quote!(.queue(#queue))),
        options.topics.as_deref().map(topics),
        options
            .consumer
            .as_ref()
            .map(|consumer| quote!(.consumer(#consumer))),
        options
            .concurrency
            .map(whole)
            .map(|number| quote!(.concurrency(#number))),
        options
            .prefetch
            .map(whole)
            .map(|number| quote!(.prefetch(#number))),
        options
            .lease
            .map(duration)
            .map(|lease| quote!(.lease(#lease))),
        options
            .timeout
            .map(duration)
            .map(|timeout| quote!(.timeout(#timeout))),
        options
            .backoff
            .as_ref()
            .map(backoff)
            .map(|backoff| quote!(.backoff(#backoff))),
        options
            .max_attempts
            .map(|number| quote!(.max_attempts(#number))),
        options
            .max_deliveries
            .map(|number| quote!(.max_deliveries(#number))),
        options
            .undecodable
            .map(undecodable)
            .map(|fate| quote!(.undecodable(#fate))),
        options
            .unmatched
            .map(unmatched)
            .map(|fate| quote!(.unmatched(#fate))),
        options
            .group_by
            .as_ref()
            .map(group_by)
            .map(|by| quote!(.group_by(#by))),
        options
            .batch
            .map(whole)
            .map(|number| quote!(.batch(#number))),
        options
            .linger
            .map(duration)
            .map(|linger| quote!(.linger(#linger))),
    ];
    let of_broker = handler
        .provider
        .as_ref()
        .filter(|_| !handler.broker_options.is_empty())
        .map(|provider| broker_options(provider, &handler.broker_options));
    let set: Vec<_> = set.into_iter().flatten().chain(of_broker).collect();
    (!set.is_empty()).then(|| quote!(.options(::loafer::RouteOptions::new() #(#set)*)))
}

/// `.on(…)`: which messages the handler takes.
pub(super) fn on(on: &On) -> TokenStream {
    match on {
        On::EventType(pattern) => quote!(.on(::loafer::policy::Selector::event_type(#pattern))),
        On::Header(name, pattern) => {
            quote!(.on(::loafer::policy::Selector::header(#name, #pattern)))
        }
    }
}

/// Returns `.broker_options::<Provider>(…)`. Keys and values keep their spans, so that the compiler's errors about them stand there. All other
/// tokens have the provider's span: the compiler reports a wrong provider there, once.
fn broker_options(provider: &Type, options: &[BrokerOption]) -> TokenStream {
    let set = options
        .iter()
        .map(|BrokerOption { key, value }| match value {
            Value::Expression(value) => quote!(.#key(#value)),
            Value::Table(pairs) => {
                let pairs = pairs
                    .iter()
                    .map(|(name, value)| quote_spanned!(value.span()=> (#name, (#value).into())));
                quote!(.#key([#(#pairs),*]))
            }
        });
    let options = quote_spanned! {provider.span()=>
        <#provider as ::loafer::broker::Broker>::Options::default()
    };
    quote_spanned!(provider.span()=> .broker_options::<#provider>(#options #(#set)*))
}

fn topics(topics: &[String]) -> TokenStream {
    match topics {
        [topic] => quote!(.topics(#topic)),
        topics => quote!(.topics([#(#topics),*])),
    }
}

fn backoff(backoff: &Backoff) -> TokenStream {
    let initial = duration(backoff.initial);
    let factor = backoff.factor.map(|factor| quote!(.with_factor(#factor)));
    let max = backoff.max.map(duration).map(|max| quote!(.with_max(#max)));
    let jitter = backoff.jitter.map(|jitter| quote!(.with_jitter(#jitter)));
    quote!(::loafer::policy::Backoff::new(#initial) #factor #max #jitter)
}

fn duration(duration: Duration) -> TokenStream {
    let seconds = Literal::u64_unsuffixed(duration.as_secs());
    let nanoseconds = Literal::u32_unsuffixed(duration.subsec_nanos());
    quote!(::core::time::Duration::new(#seconds, #nanoseconds))
}

fn unmatched(unmatched: Unmatched) -> TokenStream {
    match unmatched {
        Unmatched::Retry => quote!(::loafer::policy::Unmatched::Retry),
        Unmatched::Reject => quote!(::loafer::policy::Unmatched::Reject),
        Unmatched::Ignore => quote!(::loafer::policy::Unmatched::Ignore),
    }
}

fn group_by(group_by: &GroupBy) -> TokenStream {
    match group_by {
        GroupBy::Group => quote!(::loafer::policy::GroupBy::GROUP),
        GroupBy::Header(name) => quote!(::loafer::policy::GroupBy::header(#name)),
    }
}

fn undecodable(undecodable: Undecodable) -> TokenStream {
    match undecodable {
        Undecodable::Retry => quote!(::loafer::policy::Undecodable::Retry),
        Undecodable::Reject => quote!(::loafer::policy::Undecodable::Reject),
    }
}
