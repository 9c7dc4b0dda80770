//! Handlers prepared for one app, and the call slots that their calls run in.

mod batch_call;
mod batch_function;
mod batch_slot;
mod call_slot;
mod call_slots;
mod choice;
mod dead_letter;
mod failure;
mod function;
pub(crate) mod layered;
mod report;
pub(crate) mod unpack;

use std::{
    any::TypeId,
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
};

use crate::sync::locked;

use loafer_core::{
    extract::RouteName,
    extract::{Context, FromContext, Rejection, Resources},
    message::Message,
    outcome::{FailureKind, IntoOutcome, Outcome, Verdict},
    translate::{Envelope, TranslateError},
};

pub(crate) use self::dead_letter::moment;
use self::unpack::MAX_UNPACKED_BYTES;
pub use self::{
    batch_call::{BatchCall, Opened},
    batch_function::BatchHandler,
    call_slot::PreparedHandler,
    call_slots::Calls,
    failure::Failure,
    function::Handler,
    layered::{HandlerService, Request},
    report::Report,
    unpack::unpacked,
};
pub(crate) use self::{
    batch_slot::{BatchCallSlot, BatchLayerFn, FutureCall},
    call_slot::{CallSlot, Slot, Verdicts, caught, panic_text},
    choice::{Handler as RouteHandler, Handlers, Own},
    failure::Undecoded,
    layered::LayerFn,
    report::{FailureLog, Reports},
    unpack::{MaxUnpackedBytes, explained},
};

/// What the test kit puts around every call. It is also put around the calls of batch handlers, which an app's layers do not wrap.
#[derive(Clone)]
pub(crate) struct Around {
    pub(crate) calls: LayerFn,
    pub(crate) batches: BatchLayerFn,
}

/// What the calls of one handler share.
pub(crate) struct Prepared<T, N> {
    translator: T,
    /// What the extractors keep from startup.
    needs: N,
    /// By this number messages know what the translator found in them.
    opened_by: u64,
    /// The most bytes of a payload that was unpacked.
    max_unpacked: usize,
}

impl<T: Envelope, N> Prepared<T, N> {
    fn new(resources: &Resources, translator: T, needs: N) -> Self {
        let most = resources.get::<MaxUnpackedBytes>();
        Self {
            translator,
            needs,
            opened_by: number_of::<T>(),
            max_unpacked: most.map_or(MAX_UNPACKED_BYTES, |most| most.0),
        }
    }

    /// Opens the envelope. Its sender may have packed the whole message, and what is in the envelope.
    #[inline]
    fn open<'m>(&self, raw: &'m Message) -> Result<Cow<'m, Message>, TranslateError> {
        match T::OPENS || !raw.headers().is_empty() {
            true => self.open_packed(raw),
            false => Ok(Cow::Borrowed(raw)),
        }
    }

    fn open_packed<'m>(&self, raw: &'m Message) -> Result<Cow<'m, Message>, TranslateError> {
        let opened = match unpacked(raw, self.max_unpacked)? {
            Some(unpacked) => self.translator.open_inner(unpacked)?,
            None => match self.translator.open(raw) {
                Ok(Cow::Owned(opened)) => opened,
                Ok(same) => return Ok(same),
                Err(error) => return Err(explained(error, raw)),
            },
        };
        match unpacked(&opened, self.max_unpacked)? {
            Some(inner) => self.translator.open_inner(inner).map(Cow::Owned),
            None => Ok(Cow::Owned(opened)),
        }
    }
}

/// Returns the number by which messages know what a translator found in them, from 1. Translators of one type that have no state share theirs.
fn number_of<T: 'static>() -> u64 {
    static NUMBERS: Mutex<(u64, BTreeMap<TypeId, u64>)> = Mutex::new((0, BTreeMap::new()));
    let mut numbers = locked(&NUMBERS);
    let (last, stateless) = &mut *numbers;
    *last += 1;
    match size_of::<T>() {
        0 => *stateless.entry(TypeId::of::<T>()).or_insert(*last),
        _ => *last,
    }
}

/// What the calls of one worker share: translator, what the extractors need, and the route's names.
#[doc(hidden)]
pub struct Env<T, N> {
    shared: Arc<Prepared<T, N>>,
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
    pub(crate) fn new(shared: Arc<Prepared<T, N>>, names: Arc<RouteName>) -> Self {
        Self { shared, names }
    }

    /// Returns the translator.
    pub fn translator(&self) -> &T {
        &self.shared.translator
    }

    /// Returns what the extractors keep from startup.
    pub fn needs(&self) -> &N {
        &self.shared.needs
    }

    pub(crate) fn names(&self) -> &Arc<RouteName> {
        &self.names
    }

    /// Returns the message with its envelope opened. What was opened before is not opened again.
    ///
    /// # Errors
    ///
    /// If the envelope can't be opened.
    pub fn open<'m>(&'m self, raw: &'m Message) -> Result<Cow<'m, Message>, Verdict> {
        match raw.opened(self.shared.opened_by) {
            Some(opened) => Ok(Cow::Borrowed(opened)),
            None => self.shared.open(raw).map_err(undecodable),
        }
    }

    /// Returns what the extractors see.
    pub fn context<'m>(&'m self, opened: &'m Message, raw: &'m Message) -> Context<'m> {
        Context::new(opened, raw, &self.names)
    }
}

/// Returns the verdict on a message that does not decode.
#[doc(hidden)]
#[cold]
pub fn undecodable(error: TranslateError) -> Verdict {
    match error.is_for_good() {
        true => {
            let reason = error.to_string().into();
            Outcome::Reject { reason }.into_outcome()
        }
        false => Verdict::failed(FailureKind::Undecodable, error),
    }
}

/// Returns the verdict on a message that an extractor refused.
#[doc(hidden)]
#[cold]
pub fn refused(rejection: Rejection) -> Verdict {
    match rejection.is_for_good() {
        true => {
            let reason = rejection.into_reason();
            Outcome::Reject { reason }.into_outcome()
        }
        false => Verdict::failed(FailureKind::Extractor, rejection),
    }
}

/// Makes an argument for one message.
pub(crate) fn extract<E: FromContext>(
    needs: &E::Needs,
    context: &Context<'_>,
) -> Result<E, Verdict> {
    E::from_context(needs, context).map_err(refused)
}

/// A route's own error handler, with its type erased.
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
        // The caller catches a panic of this.
        Box::pin(async move { handler(failure).await.into_outcome() })
    })
}
