//! A layer that does what the seed says of each message.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use loafer_core::outcome::{BoxError, Verdict};
use loafer_runtime::handler::{HandlerService, Request};
use tokio::time::{sleep, timeout};
use tower::{Layer, Service};

use super::script::{Whim, whim};
use crate::{
    ledger::{Answer, Event},
    world::World,
};

/// The layer.
#[derive(Clone)]
pub(super) struct Whimsical(pub(super) Arc<World>);

impl Layer<HandlerService> for Whimsical {
    type Service = Whims;

    fn layer(&self, inner: HandlerService) -> Whims {
        Whims {
            inner,
            world: self.0.clone(),
        }
    }
}

/// The layer around one worker's handler.
pub(super) struct Whims {
    inner: HandlerService,
    world: Arc<World>,
}

type Said = Result<Verdict, BoxError>;

impl Service<Request> for Whims {
    type Response = Verdict;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Said> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let Some(id) = super::app::delivery_of(request.message().payload()) else {
            return self.inner.call(request);
        };
        let world = self.world.clone();
        let attempt = request.message().attempt();
        world.tried(id, attempt);
        let whim = whim(&world, (id, attempt));
        let say = move |answer| world.record(Event::Answered(id, answer));
        match whim {
            Whim::Nothing => self.inner.call(request),
            Whim::Swaps => {
                let other = request.message().clone().with_header("swapped", "yes");
                self.inner.call(request.with_message(other))
            }
            Whim::PanicsBefore => {
                say(Answer::Panicked);
                panic!("a layer panicked, as it was told to")
            }
            Whim::Refuses => {
                say(Answer::Failed);
                Box::pin(async { Err("a layer refused, as it was told to".into()) })
            }
            Whim::AnswersEarly(after, until, ack) => {
                let inner = self.inner.call(request);
                Box::pin(answers_early(inner, after, until, ack, say))
            }
            Whim::PanicsDuring | Whim::PanicsAfter => {
                let inner = self.inner.call(request);
                Box::pin(panics(inner, whim == Whim::PanicsDuring, say))
            }
        }
    }
}

/// Answers although the handler has not, and lets its call live on in a task.
async fn answers_early(
    inner: impl Future<Output = Said> + Send + 'static,
    after: u64,
    until: u64,
    ack: bool,
    say: impl Fn(Answer),
) -> Said {
    tokio::spawn(timeout(Duration::from_millis(until), inner));
    sleep(Duration::from_millis(after)).await;
    say(if ack { Answer::Ack } else { Answer::Nack });
    Ok(if ack { Verdict::ACK } else { Verdict::NACK })
}

/// Panics while the handler waits, or once it has answered.
async fn panics(inner: impl Future<Output = Said>, waits: bool, say: impl Fn(Answer)) -> Said {
    let mut inner = std::pin::pin!(inner);
    if waits {
        let first = poll_fn(|cx| Poll::Ready(inner.as_mut().poll(cx))).await;
        if let Poll::Ready(said) = first {
            return said;
        }
    } else {
        _ = inner.await;
    }
    say(Answer::Panicked);
    panic!("a layer panicked, as it was told to")
}
