//! Handlers made ready for one app, and the places their calls run in.

mod batch_call;
mod batch_function;
mod batch_slot;
mod call_slot;
mod call_slots;
mod choice;
mod failure;
mod function;
pub(crate) mod layered;
mod report;

use std::{borrow::Cow, fmt, future::Future, pin::Pin, sync::Arc};

use loafer_core::{
    extract::RouteName,
    extract::{Context, FromContext, Rejection},
    message::Message,
    outcome::{FailureKind, IntoOutcome, Verdict},
    translate::{Envelope, TranslateError},
};

pub use self::{
    batch_call::{BatchCall, Opened},
    batch_function::BatchHandler,
    call_slot::PreparedHandler,
    call_slots::Calls,
    failure::Failure,
    function::Handler,
    layered::{HandlerService, Request},
    report::Report,
};
pub(crate) use self::{
    batch_slot::{BatchCallSlot, BatchLayerFn, FutureCall},
    call_slot::{CallSlot, Make, MakeCallSlot, caught},
    choice::{Handler as RouteHandler, Handlers, Own},
    failure::Undecoded,
    layered::LayerFn,
};

/// What the test kit puts around every call, that of a batch too, where an app's layers do not go.
#[derive(Clone)]
pub(crate) struct Around {
    pub(crate) calls: LayerFn,
    pub(crate) batches: BatchLayerFn,
}

/// What asynchronous and plain handlers share for one worker: translator, what the extractors need, and the route's names.
#[doc(hidden)]
pub struct Env<T, N> {
    shared: Arc<(T, N)>,
    names: Arc<RouteName>,
}

impl<T, N> fmt::Debug for Env<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env")
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

impl<T: Envelope, N> Env<T, N> {
    pub(crate) fn new(shared: Arc<(T, N)>, names: Arc<RouteName>) -> Self {
        Self { shared, names }
    }

    /// The translator.
    pub fn translator(&self) -> &T {
        &self.shared.0
    }

    /// What the extractors keep from startup.
    pub fn needs(&self) -> &N {
        &self.shared.1
    }

    pub(crate) fn names(&self) -> &Arc<RouteName> {
        &self.names
    }

    /// The message inside its envelope.
    ///
    /// # Errors
    ///
    /// Where the envelope is not what it should be.
    pub fn open<'m>(&'m self, raw: &'m Message) -> Result<Cow<'m, Message>, Verdict> {
        self.shared.0.open(raw).map_err(undecodable)
    }

    /// What the extractors see.
    pub fn context<'m>(&'m self, opened: &'m Message, raw: &'m Message) -> Context<'m> {
        Context::new(opened, raw, &self.names)
    }
}

/// What becomes of a message that does not decode.
#[doc(hidden)]
#[cold]
pub fn undecodable(error: TranslateError) -> Verdict {
    Verdict::failed(FailureKind::Undecodable, error)
}

/// What becomes of a message that an extractor refused.
#[doc(hidden)]
#[cold]
pub fn refused(rejection: Rejection) -> Verdict {
    Verdict::failed(FailureKind::Extractor, rejection)
}

/// Makes an argument for one message.
pub(crate) fn extract<E: FromContext>(
    needs: &E::Needs,
    context: &Context<'_>,
) -> Result<E, Verdict> {
    E::from_context(needs, context).map_err(refused)
}

/// A route's own error handler.
pub(crate) type OnError =
    Arc<dyn Fn(Failure) -> Pin<Box<dyn Future<Output = Verdict> + Send>> + Send + Sync>;

pub(crate) fn on_error<F, Fut>(handler: F) -> OnError
where
    F: Fn(Failure) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: IntoOutcome> + Send + 'static,
{
    let handler = Arc::new(handler);
    Arc::new(move |failure| {
        let handler = handler.clone();
        // Called where a panic is caught.
        Box::pin(async move { handler(failure).await.into_outcome() })
    })
}
