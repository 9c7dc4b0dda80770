//! The call slot of a batch handler: made once for each worker, like that of a handler of single messages.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::task::JoinHandle;

use super::{BatchCall, call_slot::panicked};
use loafer_core::{extract::RouteName, message::Message, outcome::Verdict};

/// Where one worker runs the calls of a batch handler, one after the other. A call returns one verdict for each message, in order.
pub(crate) trait BatchCallSlot: Send {
    /// Starts a call for these messages, and polls it. If their groups are `ordered`, a message that stands behind one of its group that does
    /// not decode is left out.
    fn start(
        &mut self,
        messages: Vec<Message>,
        ordered: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Vec<Verdict>>;

    /// Polls the call that was started.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Vec<Verdict>>;

    /// Returns this verdict for every message of the running call, instead of waiting for it. Messages that did not decode keep their own
    /// verdicts.
    fn answer_for(&mut self, verdict: Verdict) -> Vec<Verdict>;

    /// Drops the call that was started. Returns `false` if the call can't be dropped, and goes on.
    fn cancel(&mut self) -> bool;
}

pub(crate) type MakeBatchCallSlot =
    Arc<dyn Fn(&Arc<RouteName>) -> Box<dyn BatchCallSlot> + Send + Sync>;

/// What the test kit puts around the call slot of a batch handler.
pub(crate) type BatchLayerFn =
    Arc<dyn Fn(Box<dyn BatchCallSlot>, &Arc<RouteName>) -> Box<dyn BatchCallSlot> + Send + Sync>;

/// Starts a call of an asynchronous batch handler.
pub(super) type Call = Arc<dyn Fn(&Arc<RouteName>, Arc<BatchCall>) -> FutureCall + Send + Sync>;
/// Makes a call of a plain batch handler.
pub(super) type PlainCall =
    Arc<dyn Fn(&Arc<RouteName>, &BatchCall) -> Option<Vec<Verdict>> + Send + Sync>;

pub(super) fn asynchronous(call: Call) -> MakeBatchCallSlot {
    Arc::new(move |names| {
        let (call, names) = (call.clone(), names.clone());
        Box::new(RunningSlot {
            start: move |batch| call(&names, batch),
            running: None,
        })
    })
}

pub(super) fn blocking(call: PlainCall) -> MakeBatchCallSlot {
    Arc::new(move |names| {
        let (call, names) = (call.clone(), names.clone());
        let start = move |batch: Arc<BatchCall>| {
            let (call, names, span) = (call.clone(), names.clone(), tracing::Span::current());
            BlockingCall(tokio::task::spawn_blocking(move || {
                span.in_scope(|| call(&names, &batch))
            }))
        };
        Box::new(RunningSlot {
            start,
            running: None,
        })
    })
}

/// A running call.
trait Running: Send {
    /// Returns the verdicts on the messages that decoded. `None` if no message decoded.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Vec<Verdict>>, Verdict>>;

    /// Whether dropping it ends it.
    fn is_cancellable(&self) -> bool;
}

struct RunningSlot<S, R> {
    start: S,
    running: Option<(R, Arc<BatchCall>)>,
}

impl<S, R> BatchCallSlot for RunningSlot<S, R>
where
    S: Fn(Arc<BatchCall>) -> R + Send,
    R: Running,
{
    fn start(
        &mut self,
        messages: Vec<Message>,
        ordered: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Vec<Verdict>> {
        let batch = Arc::new(BatchCall::new(messages, ordered));
        match catch_unwind(AssertUnwindSafe(|| (self.start)(batch.clone()))) {
            Ok(running) => self.running = Some((running, batch)),
            Err(panic) => return Poll::Ready(batch.all(panicked(panic))),
        }
        self.poll(cx)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Vec<Verdict>> {
        let Some((running, batch)) = &mut self.running else {
            return Poll::Ready(Vec::new());
        };
        let said = catch_unwind(AssertUnwindSafe(|| running.poll(cx)));
        let said = match said {
            Ok(said) => ready!(said),
            Err(panic) => Err(panicked(panic)),
        };
        let verdicts = match said {
            Ok(said) => batch.with_undecoded(said.unwrap_or_default()),
            Err(verdict) => batch.all(verdict),
        };
        self.drop_running();
        Poll::Ready(verdicts)
    }

    fn answer_for(&mut self, verdict: Verdict) -> Vec<Verdict> {
        let batch = self.running.as_ref().map(|(_, batch)| batch);
        batch.map_or_else(Vec::new, |batch| batch.all(verdict))
    }

    fn cancel(&mut self) -> bool {
        let free = self
            .running
            .as_ref()
            .is_none_or(|(running, _)| running.is_cancellable());
        if free {
            self.drop_running();
        }
        free
    }
}

impl<S, R> RunningSlot<S, R> {
    /// Drops the running call. A destructor of the user's may panic.
    fn drop_running(&mut self) {
        let running = self.running.take();
        _ = catch_unwind(AssertUnwindSafe(|| drop(running)));
    }
}

/// A running call of an asynchronous batch handler.
pub(crate) type FutureCall = Pin<Box<dyn Future<Output = Option<Vec<Verdict>>> + Send>>;

impl Running for FutureCall {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Vec<Verdict>>, Verdict>> {
        self.as_mut().poll(cx).map(Ok)
    }

    fn is_cancellable(&self) -> bool {
        true
    }
}

struct BlockingCall(JoinHandle<Option<Vec<Verdict>>>);

impl Running for BlockingCall {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Vec<Verdict>>, Verdict>> {
        let said = ready!(Pin::new(&mut self.0).poll(cx));
        Poll::Ready(said.map_err(|error| match error.try_into_panic() {
            Ok(panic) => panicked(panic),
            // The runtime is shutting down: there is no verdict on the messages.
            Err(_) => Verdict::NACK,
        }))
    }

    fn is_cancellable(&self) -> bool {
        false
    }
}
