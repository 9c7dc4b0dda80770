//! The call slots of handlers of single messages.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::task::JoinHandle;

use super::{
    Env,
    call_slot::{CallSlot, panicked},
};
use loafer_core::{
    extract::RouteName,
    message::Message,
    outcome::{IntoOutcome, Verdict},
    translate::Envelope,
};

/// The slot of one worker of an asynchronous handler.
#[doc(hidden)]
pub struct Calls(pub(super) Box<dyn CallSlot>);

pub(super) type BlockingCall = Arc<dyn Fn(&Arc<RouteName>, &Message) -> Verdict + Send + Sync>;

impl Calls {
    /// Returns a call slot that makes this call for each message.
    pub fn new<T, N, F, Fut>(env: Env<T, N>, call: F) -> Self
    where
        T: Envelope,
        N: Send + Sync + 'static,
        F: Fn(Arc<Env<T, N>>, Message) -> Fut + Send + 'static,
        Fut: Future<Output = Verdict> + Send + 'static,
    {
        Self(Box::new(FutureCallSlot {
            env: Arc::new(env),
            call,
            running: Box::pin(None),
        }))
    }

    /// Returns the call slot of a handler that borrows nothing. `call` decodes the handler's arguments, and keeps neither the message nor
    /// anything else for it.
    pub(super) fn of_owned<T, N, F, Fut>(env: Env<T, N>, call: F) -> Self
    where
        T: Envelope,
        N: Send + Sync + 'static,
        F: Fn(&Env<T, N>, &Message) -> Result<Fut, Verdict> + Send + 'static,
        Fut: Future<Output: IntoOutcome> + Send + 'static,
    {
        Self(Box::new(OwnedCallSlot {
            env,
            call,
            running: Box::pin(None),
        }))
    }
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls").finish_non_exhaustive()
    }
}

/// Where an asynchronous handler runs that may borrow from its message. It is the only call slot that is compiled for every handler of the
/// attribute.
struct FutureCallSlot<T, N, F, Fut> {
    env: Arc<Env<T, N>>,
    call: F,
    /// Refilled for every message: a call allocates nothing.
    running: Pin<Box<Option<Fut>>>,
}

impl<T, N, F, Fut> CallSlot for FutureCallSlot<T, N, F, Fut>
where
    T: Envelope,
    N: Send + Sync + 'static,
    F: Fn(Arc<Env<T, N>>, Message) -> Fut + Send + 'static,
    Fut: Future<Output = Verdict> + Send + 'static,
{
    fn start(&mut self, message: &mut Message, cx: &mut Context<'_>) -> Poll<Verdict> {
        let call = (self.call)(self.env.clone(), message.clone());
        self.running.set(Some(call));
        self.poll(cx)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Verdict> {
        match self.running.as_mut().as_pin_mut() {
            Some(call) => {
                let verdict = ready!(call.poll(cx));
                self.running.set(None);
                Poll::Ready(verdict)
            }
            None => Poll::Ready(Verdict::NACK),
        }
    }

    fn cancel(&mut self) -> bool {
        self.running.set(None);
        true
    }
}

/// Where an asynchronous handler runs that borrows nothing.
struct OwnedCallSlot<T, N, F, Fut> {
    env: Env<T, N>,
    call: F,
    running: Pin<Box<Option<Fut>>>,
}

impl<T, N, F, Fut> CallSlot for OwnedCallSlot<T, N, F, Fut>
where
    T: Envelope,
    N: Send + Sync + 'static,
    F: Fn(&Env<T, N>, &Message) -> Result<Fut, Verdict> + Send + 'static,
    Fut: Future<Output: IntoOutcome> + Send + 'static,
{
    fn start(&mut self, message: &mut Message, cx: &mut Context<'_>) -> Poll<Verdict> {
        match (self.call)(&self.env, message) {
            Ok(call) => {
                self.running.set(Some(call));
                self.poll(cx)
            }
            Err(verdict) => Poll::Ready(verdict),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Verdict> {
        match self.running.as_mut().as_pin_mut() {
            Some(call) => {
                let outcome = ready!(call.poll(cx));
                self.running.set(None);
                Poll::Ready(outcome.into_outcome())
            }
            None => Poll::Ready(Verdict::NACK),
        }
    }

    fn cancel(&mut self) -> bool {
        self.running.set(None);
        true
    }
}

/// Where a plain handler runs.
pub(super) struct BlockingCallSlot {
    pub(super) names: Arc<RouteName>,
    pub(super) call: BlockingCall,
    pub(super) running: Option<JoinHandle<Verdict>>,
}

impl CallSlot for BlockingCallSlot {
    fn start(&mut self, message: &mut Message, cx: &mut Context<'_>) -> Poll<Verdict> {
        let (names, call, span) = (
            self.names.clone(),
            self.call.clone(),
            tracing::Span::current(),
        );
        let message = message.clone();
        self.running = Some(tokio::task::spawn_blocking(move || {
            span.in_scope(|| call(&names, &message))
        }));
        self.poll(cx)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Verdict> {
        let Some(running) = &mut self.running else {
            return Poll::Ready(Verdict::NACK);
        };
        let said = ready!(Pin::new(running).poll(cx));
        self.running = None;
        Poll::Ready(match said {
            Ok(said) => said,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => panicked(panic),
                // The runtime is shutting down: there is no verdict on the message.
                Err(_) => Verdict::NACK,
            },
        })
    }

    fn cancel(&mut self) -> bool {
        self.running.is_none()
    }
}
