//! The middleware of users: `tower` layers around a handler.

use std::{
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use tower::{Layer, Service, ServiceExt, util::BoxService};

use super::{CallSlot, call_slot::caught};
use loafer_core::{
    extract::Metadata,
    extract::RouteName,
    message::Message,
    outcome::{BoxError, FailureKind, Verdict},
};

/// One message on its way through the layers of an app.
#[derive(Clone, Debug)]
pub struct Request {
    message: Message,
    names: Arc<RouteName>,
}

impl Request {
    /// Returns the message as the broker delivered it.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// Replaces the message: the handler is given this one instead.
    #[must_use]
    pub fn with_message(mut self, message: Message) -> Self {
        self.message = message;
        self
    }

    /// Adds a value for the handler, which takes it as [`Extension`](loafer_core::extract::Extension).
    #[must_use]
    pub fn with_extension<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.message = self.message.with_extension(value);
        self
    }

    /// Returns the route's name.
    pub fn route(&self) -> &str {
        &self.names.route
    }

    /// Returns attempt, id, route and queue.
    pub fn metadata(&self) -> Metadata {
        Metadata::of(&self.message, &self.names)
    }
}

/// What a layer wraps: the handler, or the next layer.
///
/// The response is the handler's [`Verdict`]; a verdict that says the handler failed is a response too. An `Err` comes from a layer, and is
/// treated as if the handler had returned it.
///
/// Layers are applied once for each worker, and a worker makes one call at a time. So a layer that limits concurrency or rate must share
/// its state among workers, as `tower::limit::GlobalConcurrencyLimitLayer` does.
pub type HandlerService = BoxService<Request, Verdict, BoxError>;

/// A user's layer whose type is erased.
pub(crate) type LayerFn = Arc<dyn Fn(HandlerService) -> HandlerService + Send + Sync>;

pub(crate) fn erased<L>(layer: L) -> LayerFn
where
    L: Layer<HandlerService> + Send + Sync + 'static,
    L::Service:
        Service<Request, Response = Verdict, Error: Into<BoxError>, Future: Send> + Send + 'static,
{
    Arc::new(move |inner| BoxService::new(layer.layer(inner).map_err(Into::into)))
}

/// Returns a call slot whose calls go through the layers, the first of them outermost.
pub(super) fn slot(
    inner: Box<dyn CallSlot>,
    names: &Arc<RouteName>,
    layers: &[LayerFn],
) -> Box<dyn CallSlot> {
    let inner = Inner(Arc::new(Mutex::new(InnerCallSlot {
        slot: inner,
        busy: false,
    })));
    let handler: HandlerService = BoxService::new(inner.clone());
    let service = layers
        .iter()
        .rev()
        .fold(handler, |inner, layer| layer(inner));
    Box::new(LayeredCallSlot {
        service,
        inner,
        names: names.clone(),
        stage: Stage::Idle,
    })
}

/// The handler's call slot as a service: the layers are around it. Nobody contends for the lock, because one task polls the calls of a
/// worker.
#[derive(Clone)]
struct Inner(Arc<Mutex<InnerCallSlot>>);

struct InnerCallSlot {
    slot: Box<dyn CallSlot>,
    /// Whether a call was started and is not over.
    busy: bool,
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, InnerCallSlot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, message: &Message, cx: &mut Context<'_>) -> Poll<Result<Verdict, BoxError>> {
        let mut inner = self.lock();
        if inner.busy {
            return Poll::Ready(Err(
                "a layer called the handler again before its last call was over".into(),
            ));
        }
        inner.busy = true;
        let said = inner.slot.caught_start(message, cx);
        inner.busy = said.is_pending();
        said.map(Ok)
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<Verdict> {
        let mut inner = self.lock();
        let said = inner.slot.caught_poll(cx);
        inner.busy = said.is_pending();
        said
    }

    /// Drops the running call. Returns `false` if the handler can't be cancelled, and goes on.
    fn cancel(&self) -> bool {
        let mut inner = self.lock();
        inner.busy = inner.busy && !inner.slot.caught_cancel();
        !inner.busy
    }
}

impl Service<Request> for Inner {
    type Response = Verdict;
    type Error = BoxError;
    type Future = Call;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Call {
        Call {
            inner: self.clone(),
            stage: CallStage::New(request.message),
        }
    }
}

/// One call of the handler. Dropping it early cancels the call.
struct Call {
    inner: Inner,
    stage: CallStage,
}

enum CallStage {
    New(Message),
    Running,
    Over,
}

impl Future for Call {
    type Output = Result<Verdict, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let said = match std::mem::replace(&mut this.stage, CallStage::Over) {
            CallStage::New(message) => this.inner.start(&message, cx),
            CallStage::Running | CallStage::Over => this.inner.poll(cx).map(Ok),
        };
        if said.is_pending() {
            this.stage = CallStage::Running;
        }
        said
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if matches!(self.stage, CallStage::Running) {
            self.inner.cancel();
        }
    }
}

struct LayeredCallSlot {
    service: HandlerService,
    inner: Inner,
    names: Arc<RouteName>,
    stage: Stage,
}

enum Stage {
    Idle,
    /// The layers were not ready yet.
    Waiting(Request),
    Running(<HandlerService as Service<Request>>::Future),
    /// The layers have answered, but their blocking handler has not returned: its call slot is kept until it does.
    Outlasting(Verdict),
}

impl fmt::Debug for LayeredCallSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayeredCallSlot").finish_non_exhaustive()
    }
}

impl LayeredCallSlot {
    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<Result<Verdict, BoxError>> {
        loop {
            match std::mem::replace(&mut self.stage, Stage::Idle) {
                Stage::Idle => return Poll::Ready(Ok(Verdict::NACK)),
                Stage::Waiting(request) => match self.service.poll_ready(cx) {
                    Poll::Ready(Ok(())) => self.stage = Stage::Running(self.service.call(request)),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => {
                        self.stage = Stage::Waiting(request);
                        return Poll::Pending;
                    }
                },
                Stage::Running(mut call) => {
                    let said = call.as_mut().poll(cx);
                    let Poll::Ready(said) = said else {
                        self.stage = Stage::Running(call);
                        return Poll::Pending;
                    };
                    drop(call);
                    let verdict =
                        said.unwrap_or_else(|error| Verdict::failed(FailureKind::Error, error));
                    if self.inner.cancel() {
                        return Poll::Ready(Ok(verdict));
                    }
                    self.stage = Stage::Outlasting(verdict);
                }
                Stage::Outlasting(verdict) => {
                    if self.inner.poll(cx).is_pending() {
                        self.stage = Stage::Outlasting(verdict);
                        return Poll::Pending;
                    }
                    return Poll::Ready(Ok(verdict));
                }
            }
        }
    }
}

impl CallSlot for LayeredCallSlot {
    fn start(&mut self, message: &Message, cx: &mut Context<'_>) -> Poll<Verdict> {
        self.stage = Stage::Waiting(Request {
            message: message.clone(),
            names: self.names.clone(),
        });
        self.poll(cx)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Verdict> {
        caught(|| {
            let said = ready!(self.advance(cx));
            Poll::Ready(said.unwrap_or_else(|error| Verdict::failed(FailureKind::Error, error)))
        })
    }

    fn cancel(&mut self) -> bool {
        // A destructor of the user's may panic.
        _ = catch_unwind(AssertUnwindSafe(|| self.stage = Stage::Idle));
        let free = self.inner.cancel();
        if !free {
            self.stage = Stage::Outlasting(Verdict::NACK);
        }
        free
    }
}
