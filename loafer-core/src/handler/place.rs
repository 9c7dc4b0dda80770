//! The place a handler's calls run in: made once a worker, reused for every message.

use std::{
    any::Any,
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::task::JoinHandle;

use super::{
    Around, BatchCall, Env, LayerFn, OnError,
    batch_place::{self, MakeBatchPlace},
    layered, undecodable,
};
use crate::{Envelope, Failure, FailureKind, IntoOutcome, Message, Verdict, extract::RouteName};

/// Where one worker runs the calls of a handler, one after the other.
///
/// Erased once a worker; inside, translator, extractors and the call are static. A place panics where the user's code
/// does: workers and layers call it by the `caught_` methods, which are compiled once and not for every handler.
pub(crate) trait Place: Send {
    /// Starts the call for this message, and polls it.
    fn start(&mut self, message: Message, cx: &mut Context<'_>) -> Poll<Verdict>;

    /// Polls the call that was started.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Verdict>;

    /// Drops the call that was started; false where it can't be dropped, and goes on.
    fn cancel(&mut self) -> bool;

    /// Which of the route's handlers it runs.
    fn which(&self) -> usize {
        0
    }
}

impl dyn Place {
    /// [`start`](Place::start), where a panic is a failure of the message.
    pub(crate) fn caught_start(&mut self, message: Message, cx: &mut Context<'_>) -> Poll<Verdict> {
        caught(|| self.start(message, cx))
    }

    /// [`poll`](Place::poll), where a panic is a failure of the message.
    pub(crate) fn caught_poll(&mut self, cx: &mut Context<'_>) -> Poll<Verdict> {
        caught(|| self.poll(cx))
    }

    /// [`cancel`](Place::cancel), where a panicking destructor has ended what it was of.
    pub(crate) fn caught_cancel(&mut self) -> bool {
        catch_unwind(AssertUnwindSafe(|| self.cancel())).unwrap_or(true)
    }
}

pub(crate) type MakePlace = Arc<dyn Fn(&Arc<RouteName>) -> Box<dyn Place> + Send + Sync>;

/// Opens a message's envelope, for whoever must see what is in it before the handler does.
pub(super) type Opener = Arc<dyn Fn(&Message) -> Result<Message, Verdict> + Send + Sync>;

/// Makes places, of the one kind or the other.
#[derive(Clone)]
pub(crate) enum Make {
    /// For single messages.
    Place(MakePlace),
    /// For batches.
    Batches(MakeBatchPlace),
}

/// A handler made ready for one app: makes a place for each worker.
#[derive(Clone)]
pub struct Ready {
    pub(crate) make: Make,
    pub(crate) on_error: Option<OnError>,
    pub(super) opener: Opener,
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready")
            .field("on_error", &self.on_error.is_some())
            .finish_non_exhaustive()
    }
}

impl Ready {
    /// An asynchronous handler: `call` owns the message, and gives `Err` where it did not come to the handler.
    #[doc(hidden)]
    pub fn asynchronous<T, N, F, Fut>(translator: T, needs: N, call: F) -> Self
    where
        T: Envelope,
        N: Send + Sync + 'static,
        F: Fn(Arc<Env<T, N>>, Message) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<Verdict, Verdict>> + Send + 'static,
    {
        let shared = Arc::new((translator, needs));
        let opener = opener(&shared);
        let make = move |names: &Arc<RouteName>| -> Box<dyn Place> {
            let env = Arc::new(Env::new(shared.clone(), names.clone()));
            Box::new(FuturePlace {
                env,
                call: call.clone(),
                running: Box::pin(None),
            })
        };
        Self {
            make: Make::Place(Arc::new(make)),
            on_error: None,
            opener,
        }
    }

    /// A plain handler: runs on the blocking pool.
    #[doc(hidden)]
    pub fn blocking<T, N, F>(translator: T, needs: N, call: F) -> Self
    where
        T: Envelope,
        N: Send + Sync + 'static,
        F: Fn(&Env<T, N>, &Message) -> Result<Verdict, Verdict> + Clone + Send + Sync + 'static,
    {
        let shared = Arc::new((translator, needs));
        let opener = opener(&shared);
        let make = move |names: &Arc<RouteName>| -> Box<dyn Place> {
            let env = Arc::new(Env::new(shared.clone(), names.clone()));
            Box::new(BlockingPlace {
                env,
                call: call.clone(),
                running: None,
            })
        };
        Self {
            make: Make::Place(Arc::new(make)),
            on_error: None,
            opener,
        }
    }

    /// An asynchronous batch handler: `call` gives none where no message came to the handler.
    #[doc(hidden)]
    pub fn batches<T, N, F, Fut>(translator: T, needs: N, call: F) -> Self
    where
        T: Envelope,
        N: Send + Sync + 'static,
        F: Fn(Arc<Env<T, N>>, Arc<BatchCall>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Option<Vec<Verdict>>> + Send + 'static,
    {
        let shared = Arc::new((translator, needs));
        Self {
            opener: opener(&shared),
            make: Make::Batches(batch_place::asynchronous(shared, call)),
            on_error: None,
        }
    }

    /// A plain batch handler: runs on the blocking pool.
    #[doc(hidden)]
    pub fn blocking_batches<T, N, F>(translator: T, needs: N, call: F) -> Self
    where
        T: Envelope,
        N: Send + Sync + 'static,
        F: Fn(&Env<T, N>, &BatchCall) -> Option<Vec<Verdict>> + Clone + Send + Sync + 'static,
    {
        let shared = Arc::new((translator, needs));
        Self {
            opener: opener(&shared),
            make: Make::Batches(batch_place::blocking(shared, call)),
            on_error: None,
        }
    }

    /// The same with a function that is asked what becomes of failures.
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

    /// The same inside the app's layers, the first outermost. Layers go around single messages: a plan that has them around batches is refused.
    pub(crate) fn layered(mut self, layers: &[LayerFn]) -> Self {
        if let Make::Place(inner) = &self.make
            && !layers.is_empty()
        {
            let (inner, layers) = (inner.clone(), layers.to_vec());
            self.make = Make::Place(Arc::new(move |names| {
                layered::place(inner(names), names, &layers)
            }));
        }
        self
    }
}

impl Ready {
    /// The same inside this, which is closest to the handler.
    pub(crate) fn around(mut self, around: Option<&Around>) -> Self {
        let Some(Around { calls, batches }) = around.cloned() else {
            return self;
        };
        match self.make {
            Make::Place(_) => self.layered(&[calls]),
            Make::Batches(inner) => {
                self.make = Make::Batches(Arc::new(move |names| batches(inner(names), names)));
                self
            }
        }
    }
}

fn opener<T: Envelope, N: Send + Sync + 'static>(shared: &Arc<(T, N)>) -> Opener {
    let shared = shared.clone();
    Arc::new(move |raw| {
        // Translators are the user's code, and this runs where a panic would take the whole route.
        let opened = catch_unwind(AssertUnwindSafe(|| shared.0.open(raw)));
        let opened = opened.map_err(|panic| panicked(&*panic))?;
        Ok(opened.map_err(undecodable)?.into_owned())
    })
}

struct FuturePlace<T, N, F, Fut> {
    env: Arc<Env<T, N>>,
    call: F,
    /// Refilled for every message, so that a call allocates nothing.
    running: Pin<Box<Option<Fut>>>,
}

impl<T, N, F, Fut> FuturePlace<T, N, F, Fut>
where
    Fut: Future<Output = Result<Verdict, Verdict>>,
{
    fn poll_running(running: Pin<&mut Option<Fut>>, cx: &mut Context<'_>) -> Poll<Verdict> {
        let Some(call) = running.as_pin_mut() else {
            return Poll::Ready(Verdict::NACK);
        };
        // No combinators: each would be compiled for every handler.
        match call.poll(cx) {
            Poll::Ready(Ok(verdict) | Err(verdict)) => Poll::Ready(verdict),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<T, N, F, Fut> Place for FuturePlace<T, N, F, Fut>
where
    T: Envelope,
    N: Send + Sync + 'static,
    F: Fn(Arc<Env<T, N>>, Message) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Verdict, Verdict>> + Send + 'static,
{
    fn start(&mut self, message: Message, cx: &mut Context<'_>) -> Poll<Verdict> {
        let call = (self.call)(self.env.clone(), message);
        self.running.set(Some(call));
        Self::poll_running(self.running.as_mut(), cx)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Verdict> {
        Self::poll_running(self.running.as_mut(), cx)
    }

    fn cancel(&mut self) -> bool {
        self.running.set(None);
        true
    }
}

struct BlockingPlace<T, N, F> {
    env: Arc<Env<T, N>>,
    call: F,
    running: Option<JoinHandle<Result<Verdict, Verdict>>>,
}

impl<T, N, F> Place for BlockingPlace<T, N, F>
where
    T: Envelope,
    N: Send + Sync + 'static,
    F: Fn(&Env<T, N>, &Message) -> Result<Verdict, Verdict> + Clone + Send + Sync + 'static,
{
    fn start(&mut self, message: Message, cx: &mut Context<'_>) -> Poll<Verdict> {
        let (env, call, span) = (
            self.env.clone(),
            self.call.clone(),
            tracing::Span::current(),
        );
        self.running = Some(tokio::task::spawn_blocking(move || {
            span.in_scope(|| call(&env, &message))
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
            Ok(said) => said.unwrap_or_else(|verdict| verdict),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => panicked(&*panic),
                // The runtime is shutting down: nothing is said of the message.
                Err(_) => Verdict::NACK,
            },
        })
    }

    fn cancel(&mut self) -> bool {
        self.running.is_none()
    }
}

/// Turns a panic into a failure of its message.
pub(crate) fn caught(poll: impl FnOnce() -> Poll<Verdict>) -> Poll<Verdict> {
    catch_unwind(AssertUnwindSafe(poll)).unwrap_or_else(|panic| Poll::Ready(panicked(&*panic)))
}

#[cold]
pub(super) fn panicked(panic: &(dyn Any + Send)) -> Verdict {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Verdict::failed(
        FailureKind::Panic,
        format!("panicked: {}", text.unwrap_or("with no message")),
    )
}
