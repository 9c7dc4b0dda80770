//! The call slot of a handler: made once for each worker, and reused for every message.

use std::{
    any::Any,
    borrow::Cow,
    fmt,
    future::Future,
    iter, mem, option,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::AtomicUsize},
    task::{Context, Poll},
    vec,
};

use super::{
    Around, BatchCall, BatchCallSlot, Env, LayerFn, OnError, Prepared,
    batch_slot::{self, FutureCall, MakeBatchCallSlot},
    call_slots::{BlockingCall, BlockingCallSlot, Calls},
    layered, undecodable,
};
use crate::handler::Failure;
use loafer_core::{
    extract::{Resources, RouteName},
    message::Message,
    outcome::{FailureKind, IntoOutcome, Verdict},
    translate::{Envelope, TranslateError},
};

/// Where one worker runs the calls of a handler, one after the other.
///
/// Its type is erased once for each worker; inside, translator, extractors and call have static types. A call slot panics if the user's
/// code does. So workers and layers use its `caught_` methods, which are compiled once and not for every handler.
pub(crate) trait CallSlot: Send {
    /// Starts the call for this message, and polls it. If it opens the envelope to choose a handler, it remembers in the message what it
    /// found.
    fn start(&mut self, message: &mut Message, cx: &mut Context<'_>) -> Poll<Verdict>;

    /// Polls the call that was started.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Verdict>;

    /// Drops the call that was started. Returns `false` if the call can't be dropped, and goes on.
    fn cancel(&mut self) -> bool;

    /// Returns where the index of the handler is that it runs. `None` means that the route has one handler.
    fn which(&self) -> Option<&Arc<AtomicUsize>> {
        None
    }
}

impl dyn CallSlot {
    /// Calls [`start`](CallSlot::start). A panic is a failure of the message.
    pub(crate) fn caught_start(
        &mut self,
        message: &mut Message,
        cx: &mut Context<'_>,
    ) -> Poll<Verdict> {
        caught(|| self.start(message, cx))
    }

    /// Calls [`poll`](CallSlot::poll). A panic is a failure of the message.
    pub(crate) fn caught_poll(&mut self, cx: &mut Context<'_>) -> Poll<Verdict> {
        caught(|| self.poll(cx))
    }

    /// Calls [`cancel`](CallSlot::cancel). A destructor that panics has ended its call.
    pub(crate) fn caught_cancel(&mut self) -> bool {
        catch_unwind(AssertUnwindSafe(|| self.cancel())).unwrap_or(true)
    }
}

pub(crate) type MakeCallSlot = Arc<dyn Fn(&Arc<RouteName>) -> Box<dyn CallSlot> + Send + Sync>;

/// Opens a message's envelope, for code that must see what is inside before the handler does.
#[derive(Clone)]
pub(super) struct Opener {
    by: u64,
    /// `None` for a translator that only decodes.
    open: Option<Arc<OpenFn>>,
}

/// Returns what an envelope holds. `None` means that the message is no envelope.
type OpenFn = dyn Fn(&Message) -> Result<Option<Message>, Verdict> + Send + Sync;

impl Opener {
    fn new<T: Envelope, N: Send + Sync + 'static>(shared: &Arc<Prepared<T, N>>) -> Self {
        let by = shared.opened_by;
        let open = T::OPENS.then(|| {
            let shared = shared.clone();
            Arc::new(move |raw: &Message| opened(&|| shared.open(raw))) as Arc<OpenFn>
        });
        Self { by, open }
    }

    /// Whether there may be an envelope to open.
    pub(super) fn opens(&self) -> bool {
        self.open.is_some()
    }

    /// Returns the message with its envelope opened. The message remembers it.
    pub(super) fn open<'m>(&self, raw: &'m mut Message) -> Result<&'m Message, Verdict> {
        if let Some(open) = &self.open
            && raw.opened(self.by).is_none()
            && let Some(opened) = open(raw)?
        {
            raw.remember_opened(self.by, opened);
        }
        Ok(self.opened(raw).unwrap_or(raw))
    }

    /// Returns what it found in the envelope. `None` means that it has not opened it, or that there is none.
    pub(super) fn opened<'m>(&self, raw: &'m Message) -> Option<&'m Message> {
        raw.opened(self.by)
    }
}

/// Makes call slots of one kind or the other.
#[derive(Clone)]
pub(crate) enum Make {
    /// For handlers of single messages.
    CallSlot(MakeCallSlot),
    /// For batch handlers.
    Batches(MakeBatchCallSlot),
}

impl Make {
    /// Makes the call slot of one worker.
    pub(crate) fn slot(&self, names: &Arc<RouteName>) -> Slot {
        // Layers are the user's code, and may panic.
        let made = catch_unwind(AssertUnwindSafe(|| match self {
            Self::CallSlot(make) => Slot::Single(make(names)),
            Self::Batches(make) => Slot::Batch(make(names)),
        }));
        made.unwrap_or(Slot::Unmade)
    }
}

/// The call slot of a worker.
pub(crate) enum Slot {
    Single(Box<dyn CallSlot>),
    Batch(Box<dyn BatchCallSlot>),
    /// It was not made yet, or a layer panicked when it was put around the handler: the next message tries again.
    Unmade,
}

impl Slot {
    /// Polls the call that was started. Returns one verdict for each of its messages.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Verdicts> {
        match self {
            Self::Single(slot) => slot.caught_poll(cx).map(Verdicts::one),
            Self::Batch(slot) => slot.poll(cx).map(Verdicts::each),
            Self::Unmade => Poll::Ready(Verdicts::each(Vec::new())),
        }
    }

    /// Returns this verdict for every message of the running call, instead of waiting for it.
    pub(crate) fn answer_for(&mut self, verdict: Verdict) -> Verdicts {
        match self {
            Self::Batch(slot) => Verdicts::each(slot.answer_for(verdict)),
            _ => Verdicts::one(verdict),
        }
    }

    /// Drops the call that was started. Returns `false` if the call can't be dropped, and goes on.
    pub(crate) fn cancel(&mut self) -> bool {
        match self {
            Self::Single(slot) => slot.caught_cancel(),
            Self::Batch(slot) => slot.cancel(),
            Self::Unmade => true,
        }
    }

    /// Returns where the index of the handler is that it runs. `None` means that the route has one handler, as every route of batches.
    pub(crate) fn which(&self) -> Option<&Arc<AtomicUsize>> {
        match self {
            Self::Single(slot) => slot.which(),
            _ => None,
        }
    }
}

/// The verdicts on the messages of a call, in their order.
pub(crate) struct Verdicts(iter::Chain<option::IntoIter<Verdict>, vec::IntoIter<Verdict>>);

impl Verdicts {
    /// Returns the verdict on the only message of a call.
    pub(crate) fn one(verdict: Verdict) -> Self {
        Self(Some(verdict).into_iter().chain(Vec::new()))
    }

    /// Returns the verdicts on the messages of a batch.
    pub(crate) fn each(verdicts: Vec<Verdict>) -> Self {
        Self(None.into_iter().chain(verdicts))
    }
}

/// Verdicts hold errors of the user's, whose destructors may panic. Each is dropped by itself.
impl Drop for Verdicts {
    fn drop(&mut self) {
        for verdict in self.by_ref() {
            _ = catch_unwind(AssertUnwindSafe(|| drop(verdict)));
        }
    }
}

impl Iterator for Verdicts {
    type Item = Verdict;

    fn next(&mut self) -> Option<Verdict> {
        self.0.next()
    }
}

/// A handler that is prepared for one app. It makes a call slot for each worker.
#[derive(Clone)]
pub struct PreparedHandler {
    pub(crate) make: Make,
    pub(crate) on_error: Option<OnError>,
    pub(super) opener: Opener,
}

impl fmt::Debug for PreparedHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedHandler")
            .field("on_error", &self.on_error.is_some())
            .finish_non_exhaustive()
    }
}

impl PreparedHandler {
    /// Prepares an asynchronous handler: `calls` makes the call slot of one worker.
    #[doc(hidden)]
    pub fn asynchronous<T, N, F>(resources: &Resources, translator: T, needs: N, calls: F) -> Self
    where
        T: Envelope,
        N: Send + Sync + 'static,
        F: Fn(Env<T, N>) -> Calls + Send + Sync + 'static,
    {
        let shared = Arc::new(Prepared::new(resources, translator, needs));
        let opener = Opener::new(&shared);
        let make = move |names: &Arc<RouteName>| -> Box<dyn CallSlot> {
            calls(Env::new(shared.clone(), names.clone())).0
        };
        Self::of(Make::CallSlot(Arc::new(make)), opener)
    }

    /// Prepares a plain handler, which runs on the blocking pool.
    #[doc(hidden)]
    pub fn blocking<T, N, F>(resources: &Resources, translator: T, needs: N, call: F) -> Self
    where
        T: Envelope,
        N: Send + Sync + 'static,
        F: Fn(&Env<T, N>, &Message) -> Verdict + Send + Sync + 'static,
    {
        let shared = Arc::new(Prepared::new(resources, translator, needs));
        let opener = Opener::new(&shared);
        Self::of_blocking(
            Arc::new(move |names, message| call(&Env::new(shared.clone(), names.clone()), message)),
            opener,
        )
    }

    fn of_blocking(call: BlockingCall, opener: Opener) -> Self {
        let make = move |names: &Arc<RouteName>| -> Box<dyn CallSlot> {
            Box::new(BlockingCallSlot {
                names: names.clone(),
                call: call.clone(),
                running: None,
            })
        };
        Self::of(Make::CallSlot(Arc::new(make)), opener)
    }

    /// Prepares an asynchronous batch handler. `call` returns `None` if it was not called, because no message decoded.
    #[doc(hidden)]
    pub fn batches<T, N, F>(resources: &Resources, translator: T, needs: N, call: F) -> Self
    where
        T: Envelope,
        N: Send + Sync + 'static,
        F: Fn(Env<T, N>, Arc<BatchCall>) -> FutureCall + Send + Sync + 'static,
    {
        let shared = Arc::new(Prepared::new(resources, translator, needs));
        let opener = Opener::new(&shared);
        let slot = batch_slot::asynchronous(Arc::new(move |names, batch| {
            call(Env::new(shared.clone(), names.clone()), batch)
        }));
        Self::of(Make::Batches(slot), opener)
    }

    /// Prepares a plain batch handler, which runs on the blocking pool. `call` returns `None` if it was not called, because no message
    /// decoded.
    #[doc(hidden)]
    pub fn blocking_batches<T, N, F>(
        resources: &Resources,
        translator: T,
        needs: N,
        call: F,
    ) -> Self
    where
        T: Envelope,
        N: Send + Sync + 'static,
        F: Fn(&Env<T, N>, &BatchCall) -> Option<Vec<Verdict>> + Send + Sync + 'static,
    {
        let shared = Arc::new(Prepared::new(resources, translator, needs));
        let opener = Opener::new(&shared);
        let slot = batch_slot::blocking(Arc::new(move |names, batch| {
            call(&Env::new(shared.clone(), names.clone()), batch)
        }));
        Self::of(Make::Batches(slot), opener)
    }

    fn of(make: Make, opener: Opener) -> Self {
        Self {
            make,
            on_error: None,
            opener,
        }
    }

    /// Sets a function that decides about failures.
    #[doc(hidden)]
    #[must_use]
    pub fn on_error<F, Fut>(mut self, handler: F) -> Self
    where
        F: Fn(Failure) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: IntoOutcome> + Send + 'static,
    {
        self.on_error = Some(super::on_error(handler));
        self
    }

    /// Puts the app's layers around the handler, the first outermost. Layers go around single messages: the plan of a program that has
    /// layers around batches is an error.
    pub(crate) fn layered(mut self, layers: &[LayerFn]) -> Self {
        if let Make::CallSlot(inner) = &self.make
            && !layers.is_empty()
        {
            let (inner, layers) = (inner.clone(), layers.to_vec());
            self.make = Make::CallSlot(Arc::new(move |names| {
                layered::slot(inner(names), names, &layers)
            }));
        }
        self
    }
}

impl PreparedHandler {
    /// Puts this around the handler, closer to it than any layer.
    pub(crate) fn around(mut self, around: Option<&Around>) -> Self {
        let Some(Around { calls, batches }) = around.cloned() else {
            return self;
        };
        match self.make {
            Make::CallSlot(_) => self.layered(&[calls]),
            Make::Batches(inner) => {
                self.make = Make::Batches(Arc::new(move |names| batches(inner(names), names)));
                self
            }
        }
    }
}

/// Opens an envelope, and turns a panic into a failure. Translators are the user's code, and a panic here would end the whole route.
fn opened<'m>(
    open: &dyn Fn() -> Result<Cow<'m, Message>, TranslateError>,
) -> Result<Option<Message>, Verdict> {
    let opened = catch_unwind(AssertUnwindSafe(open));
    let opened = opened.map_err(panicked)?;
    Ok(match opened.map_err(undecodable)? {
        Cow::Borrowed(_) => None,
        Cow::Owned(opened) => Some(opened),
    })
}

/// Turns a panic into a failure of its message.
pub(crate) fn caught(poll: impl FnOnce() -> Poll<Verdict>) -> Poll<Verdict> {
    catch_unwind(AssertUnwindSafe(poll)).unwrap_or_else(|panic| Poll::Ready(panicked(panic)))
}

#[cold]
pub(super) fn panicked(panic: Box<dyn Any + Send>) -> Verdict {
    let said = format!("panicked: {}", panic_text(&*panic));
    // What the user's code panicked with may panic when it is dropped, and so may what that panicked with.
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        mem::forget(again);
    }
    Verdict::failed(FailureKind::Panic, said)
}

/// Returns what a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("with no message")
}
