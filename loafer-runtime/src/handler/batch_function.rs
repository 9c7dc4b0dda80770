//! Plain async functions and closures as batch handlers, without the attribute.

use std::{future::Future, sync::Arc};

use super::{BatchCall, Env, PreparedHandler};
use loafer_core::extract::{Batch, IntoBatchOutcome, Resources};
use loafer_core::{
    extract::{FromApp, Missing},
    translate::{Envelope, Translator},
};

/// An async function or closure that can be a route's batch handler. Its first argument is a [`Batch`]; the others are extractors that need
/// no message.
///
/// It is implemented for functions of 1 to 8 arguments. A function with `#[handler]` does not need it, and can also borrow from the
/// messages.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no batch handler for the translator `{T}`",
    label = "no batch handler",
    note = "a batch handler is an async function: a `Batch` of messages the translator can decode, then `State<S>`, `Bus` or types that implement `FromApp`; it returns `BatchOutcome`, or one outcome for all"
)]
pub trait BatchHandler<T, Arguments>: Clone + Send + Sync + 'static {
    #[doc(hidden)]
    fn ready(self, translator: T, resources: &Resources) -> Result<PreparedHandler, Missing>;
}

macro_rules! functions {
    ($($extractor:ident $at:tt),*) => {
        #[diagnostic::do_not_recommend]
        impl<T, F, Fut, M, $($extractor),*> BatchHandler<T, (M, $($extractor,)*)> for F
        where
            T: Envelope + for<'m> Translator<'m, M>,
            F: Fn(Batch<M>, $($extractor),*) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future<Output: IntoBatchOutcome> + Send + 'static,
            M: Send + 'static,
            $($extractor: FromApp + Send + 'static,)*
        {
            #[allow(unused_variables, reason = "for a handler without extractors")]
            fn ready(self, translator: T, resources: &Resources) -> Result<PreparedHandler, Missing> {
                let needs = ($($extractor::needs(resources)?,)*);
                Ok(PreparedHandler::batches(resources, translator, needs, move |env: Env<T, _>, raw: Arc<BatchCall>| {
                    let handler = self.clone();
                    Box::pin(async move {
                        let call = {
                            let opened = env.open_all(&raw);
                            let batch = raw.decode(env.translator(), env.names(), &opened)?;
                            handler(batch, $($extractor::from_app(&env.needs().$at)),*)
                        };
                        Some(raw.said(call.await))
                    })
                }))
            }
        }
    };
}

functions!();
functions!(E0 0);
functions!(E0 0, E1 1);
functions!(E0 0, E1 1, E2 2);
functions!(E0 0, E1 1, E2 2, E3 3);
functions!(E0 0, E1 1, E2 2, E3 3, E4 4);
functions!(E0 0, E1 1, E2 2, E3 3, E4 4, E5 5);
functions!(E0 0, E1 1, E2 2, E3 3, E4 4, E5 5, E6 6);
