//! The keys that say where a queue hangs, as the attribute sets them.

use proc_macro2::TokenStream;
use quote::quote;

use crate::handler::model::{Argument, DeadLetter, Declare, QueueType, Topology};

/// A call of the options' builder for each that is set.
pub(super) fn topology(topology: &Topology) -> Vec<TokenStream> {
    let set = [
        topology
            .exchange
            .as_ref()
            .map(|exchange| quote!(.exchange(#exchange))),
        topology.binding.as_deref().map(binding),
        topology
            .queue_type
            .map(queue_type)
            .map(|queue_type| quote!(.queue_type(#queue_type))),
        topology
            .declare
            .map(declare)
            .map(|declare| quote!(.declare(#declare))),
        topology.dead_letter.as_ref().map(dead_letter),
    ];
    let arguments = topology.arguments.iter().map(argument);
    set.into_iter().flatten().chain(arguments).collect()
}

fn binding(keys: &[String]) -> TokenStream {
    match keys {
        [key] => quote!(.binding(#key)),
        keys => quote!(.binding([#(#keys),*])),
    }
}

fn argument((name, value): &(String, Argument)) -> TokenStream {
    match value {
        Argument::Truth(truth) => quote!(.argument(#name, #truth)),
        Argument::Whole(number) => quote!(.argument(#name, #number)),
        Argument::Text(text) => quote!(.argument(#name, #text)),
    }
}

fn queue_type(queue_type: QueueType) -> TokenStream {
    match queue_type {
        QueueType::Quorum => quote!(::loafer::policy::QueueType::Quorum),
        QueueType::Classic => quote!(::loafer::policy::QueueType::Classic),
    }
}

fn declare(declare: Declare) -> TokenStream {
    match declare {
        Declare::Create => quote!(::loafer::policy::Declare::Create),
        Declare::Verify => quote!(::loafer::policy::Declare::Verify),
        Declare::Off => quote!(::loafer::policy::Declare::Off),
    }
}

fn dead_letter(target: &DeadLetter) -> TokenStream {
    let DeadLetter {
        exchange,
        routing_key,
        queue,
    } = target;
    let queue = queue.as_ref().map(|queue| quote!(.in_queue(#queue)));
    quote!(.dead_letter(::loafer::policy::DeadLetterTarget::new(#exchange, #routing_key) #queue))
}
