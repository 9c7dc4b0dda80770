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

use super::{CallSlot, Verdicts, call_slot::caught};
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
    /// Which message of its worker it is: a call for an earlier one does nothing.
    number: u64,
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
        message: None,
        running: None,
        calls: 0,
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
        number: 0,
        stage: Stage::Idle,
    })
}

/// The handler's call slot as a service: the layers are around it. A layer may let a call live on in a task of its own, also after it has
/// answered for the message.
#[derive(Clone)]
struct Inner(Arc<Mutex<InnerCallSlot>>);

/// Calls have numbers: what is left of an earlier call does nothing to a later one.
struct InnerCallSlot {
    slot: Box<dyn CallSlot>,
    /// The number of the message that the layers have now. `None` once they have answered.
    message: Option<u64>,
    /// The number of the call that was started and is not over.
    running: Option<u64>,
    /// The number of the last call.
    calls: u64,
}

impl InnerCallSlot {
    /// Ends the running call. Returns `false` if the handler can't be cancelled, and goes on.
    fn cancel(&mut self) -> bool {
        if self.running.is_some() && self.slot.caught_cancel() {
            self.running = None;
        }
        self.running.is_none()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Verdict> {
        let verdict = ready!(self.slot.caught_poll(cx));
        self.running = None;
        Poll::Ready(verdict)
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, InnerCallSlot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
            stage: CallStage::New(request),
        }
    }
}

/// One call of the handler. Dropping it early cancels the call.
struct Call {
    inner: Inner,
    stage: CallStage,
}

enum CallStage {
    New(Request),
    /// It was started for this message, as the call with this number.
    Running {
        message: u64,
        call: u64,
    },
    Over,
}

impl Call {
    fn start(
        &mut self,
        mut request: Request,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Verdict, BoxError>> {
        let mut inner = self.inner.lock();
        let message = request.number;
        if inner.message != Some(message) {
            return Poll::Ready(Err(too_late()));
        }
        if inner.running.is_some() {
            return Poll::Ready(Err(
                "a layer called the handler again before its last call was over".into(),
            ));
        }
        inner.calls += 1;
        let started = inner.slot.caught_start(&mut request.message, cx);
        if started.is_pending() {
            inner.running = Some(inner.calls);
            let call = inner.calls;
            self.stage = CallStage::Running { message, call };
        }
        started.map(Ok)
    }
}

fn too_late() -> BoxError {
    "a layer called the handler after it had answered for the message".into()
}

impl Future for Call {
    type Output = Result<Verdict, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        match std::mem::replace(&mut this.stage, CallStage::Over) {
            CallStage::New(request) => this.start(request, cx),
            CallStage::Running { message, call } => {
                let mut inner = this.inner.lock();
                // A call that goes on after the layers' answer is the worker's alone: it must be the one that is woken.
                if (inner.message, inner.running) != (Some(message), Some(call)) {
                    return Poll::Ready(Err(too_late()));
                }
                let polled = inner.poll(cx);
                if polled.is_pending() {
                    this.stage = CallStage::Running { message, call };
                }
                polled.map(Ok)
            }
            CallStage::Over => Poll::Ready(Err(too_late())),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let CallStage::Running { call, .. } = self.stage else {
            return;
        };
        let mut inner = self.inner.lock();
        if inner.running == Some(call) {
            inner.cancel();
        }
    }
}

struct LayeredCallSlot {
    service: HandlerService,
    inner: Inner,
    names: Arc<RouteName>,
    /// The number of the last message.
    number: u64,
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
    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<Verdict> {
        loop {
            match std::mem::replace(&mut self.stage, Stage::Idle) {
                Stage::Idle => return Poll::Ready(Verdict::NACK),
                Stage::Waiting(request) => match self.service.poll_ready(cx) {
                    Poll::Ready(Ok(())) => self.stage = Stage::Running(self.service.call(request)),
                    Poll::Ready(Err(error)) => {
                        return Poll::Ready(Verdict::failed(FailureKind::Error, error));
                    }
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
                    return Poll::Ready(verdict);
                }
                Stage::Outlasting(verdict) => {
                    if let Poll::Ready(late) = self.inner.lock().poll(cx) {
                        drop(Verdicts::one(late));
                        return Poll::Ready(verdict);
                    }
                    self.stage = Stage::Outlasting(verdict);
                    return Poll::Pending;
                }
            }
        }
    }

    /// Ends the message for the layers: what they may still do with it does nothing to the next one. Returns whether its call is over.
    fn end(&mut self) -> bool {
        // A destructor of the user's may panic.
        _ = catch_unwind(AssertUnwindSafe(|| self.stage = Stage::Idle));
        let mut inner = self.inner.lock();
        inner.message = None;
        inner.cancel()
    }
}

impl CallSlot for LayeredCallSlot {
    fn start(&mut self, message: &mut Message, cx: &mut Context<'_>) -> Poll<Verdict> {
        self.number += 1;
        self.inner.lock().message = Some(self.number);
        self.stage = Stage::Waiting(Request {
            message: message.clone(),
            names: self.names.clone(),
            number: self.number,
        });
        self.poll(cx)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Verdict> {
        let outlasting = matches!(self.stage, Stage::Outlasting(_));
        // A panic of a layer is its answer.
        let verdict = ready!(caught(|| self.advance(cx)));
        if outlasting || self.end() {
            return Poll::Ready(verdict);
        }
        self.stage = Stage::Outlasting(verdict);
        // The handler wakes the worker from now on, and not the layer.
        self.poll(cx)
    }

    fn cancel(&mut self) -> bool {
        let over = self.end();
        if !over {
            self.stage = Stage::Outlasting(Verdict::NACK);
        }
        over
    }
}
