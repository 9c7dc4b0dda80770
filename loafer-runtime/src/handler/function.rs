//! Plain async functions and closures as handlers, without the attribute.

use std::future::Future;

use super::{Calls, PreparedHandler, explained, extract};
use crate::handler::undecodable;
use loafer_core::extract::Resources;
use loafer_core::{
    extract::{FromContext, Missing},
    outcome::IntoOutcome,
    translate::{Envelope, Translator},
};

/// An async function or closure that can be a route's handler. Its first argument is decoded from the message; the others are extractors.
///
/// It is implemented for functions of 1 to 8 arguments. A function with `#[handler]` does not need it, and can also borrow from the
/// message.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no handler for the translator `{T}`",
    label = "no handler",
    note = "a handler is an async function: a message the translator can decode, then extractors; it returns `bool`, `Outcome` or a `Result` of either"
)]
pub trait Handler<T, Arguments>: Clone + Send + Sync + 'static {
    #[doc(hidden)]
    fn ready(self, translator: T, resources: &Resources) -> Result<PreparedHandler, Missing>;
}

macro_rules! functions {
    ($($extractor:ident $at:tt),*) => {
        #[diagnostic::do_not_recommend]
        impl<T, F, Fut, M, $($extractor),*> Handler<T, (M, $($extractor,)*)> for F
        where
            T: Envelope + for<'m> Translator<'m, M>,
            F: Fn(M, $($extractor),*) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future<Output: IntoOutcome> + Send + 'static,
            M: Send + 'static,
            $($extractor: FromContext + Send + 'static,)*
        {
            #[allow(unused_variables, non_snake_case, reason = "for a handler without extractors")]
            fn ready(self, translator: T, resources: &Resources) -> Result<PreparedHandler, Missing> {
                let needs = ($($extractor::needs(resources)?,)*);
                Ok(PreparedHandler::asynchronous(resources, translator, needs, move |env| {
                    let handler = self.clone();
                    Calls::of_owned(env, move |env, raw| {
                        let opened = env.open(raw)?;
                        let context = env.context(&opened, raw);
                        let message = env.translator().translate(&opened).map_err(|error| undecodable(explained(error, &opened)))?;
                        $(let $extractor = extract::<$extractor>(&env.needs().$at, &context)?;)*
                        Ok(handler(message, $($extractor),*))
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
