//! The futures of handlers and of `on_error`: they wait, and then answer, panic, or never end; and they say so to the ledger.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use loafer_core::{
    extract::BatchOutcome,
    outcome::{FailureKind, IntoOutcome, Outcome, Verdict},
};
use tokio::time::{Sleep, sleep};

use super::script::{Act, Then, Try, act, answers_early};
use crate::{
    ledger::{Answer, DeliveryId, Event, Ledger},
    world::World,
};

/// The error of a handler.
#[derive(Debug)]
struct Failure;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it failed, as it was told to")
    }
}

impl std::error::Error for Failure {}

/// An error that can't be shown.
#[derive(Debug)]
struct Unshowable;

impl fmt::Display for Unshowable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("it can't be shown, as it was told")
    }
}

impl std::error::Error for Unshowable {}

impl Then {
    /// Returns it for the ledger. `None` if it does not end.
    fn answer(self) -> Option<Answer> {
        Some(match self {
            Self::Ack => Answer::Ack,
            Self::False => Answer::Nack,
            Self::Err | Self::Unshowable => Answer::Failed,
            Self::Panic => Answer::Panicked,
            Self::Retry(after) => Answer::Retry(after),
            Self::Reject => Answer::Reject,
            Self::Never => return None,
        })
    }

    fn verdict(self) -> Verdict {
        match self {
            Self::Ack => Verdict::ACK,
            Self::False | Self::Never => Verdict::NACK,
            Self::Err => Verdict::failed(FailureKind::Error, Failure),
            Self::Unshowable => Verdict::failed(FailureKind::Error, Unshowable),
            Self::Panic => panic!("it panicked, as it was told to"),
            Self::Retry(after) => Outcome::Retry {
                after: Duration::from_millis(after),
            }
            .into_outcome(),
            Self::Reject => Outcome::Reject {
                reason: "as it was told to".into(),
            }
            .into_outcome(),
        }
    }
}

/// What waits, and who must hear of it.
struct Wait {
    world: Arc<World>,
    act: Act,
    sleep: Option<Pin<Box<Sleep>>>,
    over: bool,
}

impl Wait {
    fn new(world: &Arc<World>, act: Act) -> Self {
        Self {
            world: world.clone(),
            act,
            sleep: None,
            over: false,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.act.then == Then::Never {
            return Poll::Pending;
        }
        if self.act.wait > 0 {
            let wait = Duration::from_millis(self.act.wait);
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep(wait)));
            ready!(sleep.as_mut().poll(cx));
        }
        self.over = true;
        Poll::Ready(())
    }

    /// Called when the future is dropped before it has answered.
    fn dropped(&self) {
        if self.act.drop_panics && !std::thread::panicking() {
            panic!("it panicked when it was dropped, as it was told to");
        }
    }
}

/// A call begins with a message. Some messages kill their process.
fn begin(world: &World, (id, attempt): Try, call: u32) {
    world.tried(id, attempt);
    world.record(Event::Started(id, call));
    if world.is_poison(id) {
        world.kill(Some(id));
    }
}

/// A call of a handler.
pub(super) struct Call {
    wait: Wait,
    id: DeliveryId,
    /// Whether a layer answers instead, whatever this call says.
    is_ignored: bool,
}

impl Call {
    /// Begins a call.
    pub(super) fn of(world: &Arc<World>, this: Try) -> Self {
        let call = world.ledger(|ledger| ledger.next_call());
        begin(world, this, call);
        Self {
            wait: Wait::new(world, act(world, this)),
            id: this.0,
            is_ignored: answers_early(world, this),
        }
    }
}

impl Future for Call {
    type Output = Verdict;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Verdict> {
        if self.wait.over {
            let now = self.wait.world.now();
            let accuse = |ledger: &mut Ledger| ledger.accuse_poll(now, self.id);
            self.wait.world.ledger(accuse);
            return Poll::Ready(Verdict::NACK);
        }
        ready!(self.wait.poll(cx));
        let (world, then) = (&self.wait.world, self.wait.act.then);
        if let Some(answer) = then.answer().filter(|_| !self.is_ignored) {
            world.record(Event::Answered(self.id, answer));
        }
        world.record(Event::Left(self.id));
        Poll::Ready(then.verdict())
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.wait.over {
            self.wait.world.record(Event::Dropped(self.id));
            self.wait.dropped();
        }
    }
}

/// A call of a batch handler.
pub(super) struct BatchCall {
    wait: Wait,
    items: Vec<(DeliveryId, Then)>,
}

impl BatchCall {
    /// Begins a call. The first message says how long it takes, and whether it ends.
    pub(super) fn of(world: &Arc<World>, tries: &[Try]) -> Self {
        let call = world.ledger(|ledger| ledger.next_call());
        for this in tries {
            begin(world, *this, call);
        }
        let acts: Vec<Act> = tries.iter().map(|this| act(world, *this)).collect();
        let of_items = acts.iter().map(|act| match act.then {
            // One message does not end the call, unless it is the first.
            Then::Never | Then::Panic => Then::False,
            then => then,
        });
        let items = tries.iter().map(|(id, _)| *id).zip(of_items).collect();
        Self {
            wait: Wait::new(world, acts[0]),
            items,
        }
    }

    fn say(&self, id: DeliveryId, answer: Option<Answer>) {
        if let Some(answer) = answer {
            self.wait.world.record(Event::Answered(id, answer));
        }
        self.wait.world.record(Event::Left(id));
    }
}

impl Future for BatchCall {
    type Output = BatchOutcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<BatchOutcome> {
        ready!(self.wait.poll(cx));
        let act = self.wait.act;
        if act.then == Then::Panic || act.wrong_count {
            let answer = match act.then {
                Then::Panic => Answer::Panicked,
                _ => Answer::Failed,
            };
            self.items
                .iter()
                .for_each(|(id, _)| self.say(*id, Some(answer)));
            if act.then == Then::Panic {
                _ = act.then.verdict();
            }
            return Poll::Ready(self.items.iter().skip(1).map(|_| true).collect());
        }
        self.items
            .iter()
            .for_each(|(id, then)| self.say(*id, then.answer()));
        Poll::Ready(self.items.iter().map(|(_, then)| then.verdict()).collect())
    }
}

impl Drop for BatchCall {
    fn drop(&mut self) {
        if !self.wait.over {
            for (id, _) in &self.items {
                self.wait.world.record(Event::Dropped(*id));
            }
            self.wait.dropped();
        }
    }
}

/// A call of `on_error`.
pub(super) struct Consultation {
    wait: Wait,
    id: DeliveryId,
}

impl Consultation {
    /// Begins a call.
    pub(super) fn of(world: &Arc<World>, this: Try) -> Self {
        Self {
            wait: Wait::new(world, super::script::decision(world, this)),
            id: this.0,
        }
    }
}

impl Future for Consultation {
    type Output = Verdict;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Verdict> {
        ready!(self.wait.poll(cx));
        let then = self.wait.act.then;
        if let Some(answer) = then.answer() {
            self.wait.world.record(Event::Decided(self.id, answer));
        }
        Poll::Ready(then.verdict())
    }
}

impl Drop for Consultation {
    fn drop(&mut self) {
        if !self.wait.over {
            self.wait.world.record(Event::Undecided(self.id));
            self.wait.dropped();
        }
    }
}
