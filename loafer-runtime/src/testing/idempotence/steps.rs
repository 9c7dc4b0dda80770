//! What makes a handler run step by step, so that its process may die at each: a layer, and a call slot around batches.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::task::coop;
use tower::{Layer, Service};

use crate::{
    handler::{Around, BatchCallSlot, HandlerService, Request, layered},
    testing::plan::{Cut, Plan},
};
use loafer_core::{
    extract::RouteName,
    message::{Message, MessageId},
    outcome::Verdict,
};

/// More than tokio gives a task before the task must wait for its turn.
const BUDGET: usize = 1024;

/// Makes all handlers run step by step.
pub(super) fn around(plan: &Plan) -> Around {
    let of_batches = plan.clone();
    Around {
        calls: layered::erased(Steps { plan: plan.clone() }),
        batches: Arc::new(move |inner, names| {
            Box::new(SteppingBatches {
                inner,
                plan: of_batches.clone(),
                names: names.clone(),
                waiting: Default::default(),
                first: None,
            })
        }),
    }
}

/// Makes handlers of single messages run step by step.
#[derive(Clone)]
struct Steps {
    plan: Plan,
}

struct SteppingService {
    inner: HandlerService,
    plan: Plan,
}

type Call = <HandlerService as Service<Request>>::Future;

/// A handler's call that runs step by step.
struct Stepping {
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
            // The rest of it is dropped with its process.
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

/// The call slot of a batch handler that runs step by step.
struct SteppingBatches {
    inner: Box<dyn BatchCallSlot>,
    plan: Plan,
    names: Arc<RouteName>,
    /// The messages of a call that has not begun, and whether they are ordered.
    waiting: (Vec<Message>, bool),
    /// The message that is named if the process dies during the call.
    first: Option<MessageId>,
}

impl BatchCallSlot for SteppingBatches {
    fn start(
        &mut self,
        messages: Vec<Message>,
        ordered: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Vec<Verdict>> {
        self.first = messages.first().map(|message| message.id().clone());
        self.waiting = (messages, ordered);
        self.poll(cx)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Vec<Verdict>> {
        if self.plan.is_dead() {
            return Poll::Pending;
        }
        ready!(leave_one_step(cx));
        let said = match std::mem::take(&mut self.waiting) {
            (begun, _) if begun.is_empty() => self.inner.poll(cx),
            (messages, ordered) => self.inner.start(messages, ordered, cx),
        };
        if let (true, Some(id)) = (said.is_pending(), &self.first) {
            self.plan.dies_of(Cut::Wait(1), &self.names.route, id);
        }
        said
    }

    fn answer_for(&mut self, verdict: Verdict) -> Vec<Verdict> {
        match self.waiting.0.len() {
            0 => self.inner.answer_for(verdict),
            messages => verdict.repeated(messages),
        }
    }

    fn cancel(&mut self) -> bool {
        self.waiting.0.clear();
        self.inner.cancel()
    }
}

/// Uses up what tokio lets a task do at once, except for one step. So whatever of tokio's is awaited next makes the task wait for its turn.
/// Waits itself if nothing is left.
fn leave_one_step(cx: &mut Context<'_>) -> Poll<()> {
    for _ in 0..BUDGET {
        let used = ready!(coop::poll_proceed(cx));
        if !coop::has_budget_remaining() {
            // Dropped like this, it returns what it took.
            drop(used);
            break;
        }
        used.made_progress();
    }
    Poll::Ready(())
}
