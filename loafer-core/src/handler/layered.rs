//! User middleware: `tower` layers around a handler.

use std::{
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use tower::{Layer, Service, ServiceExt, util::BoxService};

use super::{Place, place::caught};
use crate::{BoxError, FailureKind, Message, Metadata, Verdict, extract::RouteName};

/// One message on its way through the layers of an app.
#[derive(Clone, Debug)]
pub struct Request {
    message: Message,
    names: Arc<RouteName>,
}

impl Request {
    /// The message as the broker delivered it.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// The same request with another message: what the handler is given instead.
    #[must_use]
    pub fn with_message(mut self, message: Message) -> Self {
        self.message = message;
        self
    }

    /// The route's name.
    pub fn route(&self) -> &str {
        &self.names.route
    }

    /// Attempt, id, route and queue.
    pub fn metadata(&self) -> Metadata {
        Metadata::of(&self.message, &self.names)
    }
}

/// What a layer wraps: the handler, or the next layer.
///
/// The answer is the handler's [`Verdict`]; a failed verdict passes as it is. An `Err` is a layer's own, and is treated as if the handler had returned it.
pub type HandlerService = BoxService<Request, Verdict, BoxError>;

/// A user's layer whose type is not known.
pub(crate) type LayerFn = Arc<dyn Fn(HandlerService) -> HandlerService + Send + Sync>;

pub(crate) fn erased<L>(layer: L) -> LayerFn
where
    L: Layer<HandlerService> + Send + Sync + 'static,
    L::Service:
        Service<Request, Response = Verdict, Error: Into<BoxError>, Future: Send> + Send + 'static,
{
    Arc::new(move |inner| BoxService::new(layer.layer(inner).map_err(Into::into)))
}

/// A place whose calls go through the layers, the first of them outermost.
pub(super) fn place(
    inner: Box<dyn Place>,
    names: &Arc<RouteName>,
    layers: &[LayerFn],
) -> Box<dyn Place> {
    let handler: HandlerService = BoxService::new(Innermost(Arc::new(Mutex::new(inner))));
    let service = layers
        .iter()
        .rev()
        .fold(handler, |inner, layer| layer(inner));
    Box::new(LayeredPlace {
        service,
        names: names.clone(),
        stage: Stage::Idle,
    })
}

/// The handler's place as a service. A layer may call it again before an earlier call ended; the lock is then contended by nobody but
/// itself: the calls of one worker are polled by one task.
struct Innermost(Arc<Mutex<Box<dyn Place>>>);

impl Service<Request> for Innermost {
    type Response = Verdict;
    type Error = BoxError;
    type Future = Call;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Call {
        Call {
            place: self.0.clone(),
            message: Some(request.message),
            ended: false,
        }
    }
}

/// One call of the handler; dropped early, it cancels it.
struct Call {
    place: Arc<Mutex<Box<dyn Place>>>,
    /// Until it is first polled.
    message: Option<Message>,
    ended: bool,
}

impl Future for Call {
    type Output = Result<Verdict, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let mut place = this.place.lock().unwrap_or_else(PoisonError::into_inner);
        let said = match this.message.take() {
            Some(message) => place.start(message, cx),
            None => place.poll(cx),
        };
        this.ended = said.is_ready();
        said.map(Ok)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.ended && self.message.is_none() {
            self.place
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .cancel();
        }
    }
}

struct LayeredPlace {
    service: HandlerService,
    names: Arc<RouteName>,
    stage: Stage,
}

enum Stage {
    Idle,
    /// The layers were not ready yet.
    Waiting(Request),
    Running(<HandlerService as Service<Request>>::Future),
}

impl fmt::Debug for LayeredPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayeredPlace").finish_non_exhaustive()
    }
}

impl LayeredPlace {
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
                    if said.is_pending() {
                        self.stage = Stage::Running(call);
                    }
                    return Poll::Ready(ready!(said));
                }
            }
        }
    }
}

impl Place for LayeredPlace {
    fn start(&mut self, message: Message, cx: &mut Context<'_>) -> Poll<Verdict> {
        self.stage = Stage::Waiting(Request {
            message,
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
        // A destructor of the user's may panic too.
        _ = catch_unwind(AssertUnwindSafe(|| self.stage = Stage::Idle));
        true
    }
}
