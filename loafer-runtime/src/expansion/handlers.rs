//! What the expansion of `#[handler]` makes of a handler, and the macros that it uses.
//!
//! A handler is given by a function pointer. So what keeps it is compiled for every set of extractors, and not for every handler.

use std::{future::Future, pin::Pin, sync::Arc};

use crate::handler::{BatchCall, Calls, Env, FutureCall, PreparedHandler};
use loafer_core::{extract::Resources, message::Message, outcome::Verdict, translate::Envelope};

/// Prepares an asynchronous handler.
pub fn asynchronous<T: Envelope, N: Send + Sync + 'static>(
    resources: &Resources,
    translator: T,
    needs: N,
    calls: fn(Env<T, N>) -> Calls,
) -> PreparedHandler {
    PreparedHandler::asynchronous(resources, translator, needs, calls)
}

/// Prepares a plain handler.
pub fn blocking<T: Envelope, N: Send + Sync + 'static>(
    resources: &Resources,
    translator: T,
    needs: N,
    call: fn(&Env<T, N>, &Message) -> Verdict,
) -> PreparedHandler {
    PreparedHandler::blocking(resources, translator, needs, call)
}

/// Prepares an asynchronous batch handler.
pub fn batches<T: Envelope, N: Send + Sync + 'static>(
    resources: &Resources,
    translator: T,
    needs: N,
    call: fn(Env<T, N>, Arc<BatchCall>) -> FutureCall,
) -> PreparedHandler {
    PreparedHandler::batches(resources, translator, needs, call)
}

/// Prepares a plain batch handler.
pub fn blocking_batches<T: Envelope, N: Send + Sync + 'static>(
    resources: &Resources,
    translator: T,
    needs: N,
    call: fn(&Env<T, N>, &BatchCall) -> Option<Vec<Verdict>>,
) -> PreparedHandler {
    PreparedHandler::blocking_batches(resources, translator, needs, call)
}

/// Boxes a future that can move from thread to thread.
pub fn sent<O>(
    call: impl Future<Output = O> + Send + 'static,
) -> Pin<Box<dyn Future<Output = O> + Send>> {
    Box::pin(call)
}

/// Returns the value. If there is none, what is there in its place ends the call, which is a `loop`. A `?` would compile its conversions
/// for every type.
#[doc(hidden)]
#[macro_export]
macro_rules! __given {
    ($value:expr) => {
        match $value {
            ::core::result::Result::Ok(value) => value,
            ::core::result::Result::Err(said) => break said,
        }
    };
}

/// A handler's path, and the file and line of its attribute.
#[doc(hidden)]
#[macro_export]
macro_rules! __location {
    ($name:literal) => {
        (
            ::core::concat!(::core::module_path!(), "::", $name),
            (::core::file!(), ::core::line!()),
        )
    };
}
