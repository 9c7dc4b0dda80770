//! The layer under which a handler goes step by step, and its process may die at one.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::task::coop;
use tower::{Layer, Service};

use crate::{
    HandlerService, MessageId, Request,
    testing::plan::{Cut, Plan},
};

/// More than tokio gives a task before it is to wait for its turn.
const BUDGET: usize = 1024;

/// Makes handlers go step by step.
#[derive(Clone)]
pub(super) struct Steps {
    pub(super) plan: Plan,
}

pub(super) struct SteppingService {
    inner: HandlerService,
    plan: Plan,
}

type Call = <HandlerService as Service<Request>>::Future;

/// A handler's call, step by step.
pub(super) struct Stepping {
    call: Call,
    plan: Plan,
    route: String,
    id: MessageId,
}

impl Layer<HandlerService> for Steps {
    type Service = SteppingService;

    fn layer(&self, inner: HandlerService) -> SteppingService {
        SteppingService {
            inner,
            plan: self.plan.clone(),
        }
    }
}

impl Service<Request> for SteppingService {
    type Response = <HandlerService as Service<Request>>::Response;
    type Error = <HandlerService as Service<Request>>::Error;
    type Future = Stepping;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Stepping {
        Stepping {
            plan: self.plan.clone(),
            route: request.route().to_owned(),
            id: request.message().id().clone(),
            call: self.inner.call(request),
        }
    }
}

impl Future for Stepping {
    type Output = <Call as Future>::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.plan.is_dead() {
            // What is left of it is dropped with its process.
            return Poll::Pending;
        }
        ready!(leave_one_step(cx));
        let said = Pin::new(&mut self.call).poll(cx);
        if said.is_pending() {
            self.plan.dies_of(Cut::Wait(1), &self.route, &self.id);
        }
        said
    }
}

/// Uses up what tokio lets a task do in one go, but for one thing: whatever of tokio's is awaited after it makes the task wait for its turn. Waits
/// itself where nothing is left.
fn leave_one_step(cx: &mut Context<'_>) -> Poll<()> {
    for _ in 0..BUDGET {
        let used = ready!(coop::poll_proceed(cx));
        if !coop::has_budget_remaining() {
            // Dropped so, it gives back what it took.
            drop(used);
            break;
        }
        used.made_progress();
    }
    Poll::Ready(())
}
