//! The places of handlers of single messages: compiled once, whatever the handler.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::task::JoinHandle;

use super::{
    Turns,
    place::{Place, panicked},
};
use crate::{Message, Verdict, extract::RouteName};

/// The calls of one worker: ends with it, or where a call panics.
pub(crate) type Calls = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(super) type MakeCalls = Arc<dyn Fn(&Arc<RouteName>, Turns) -> Calls + Send + Sync>;

pub(super) type BlockingCall = Arc<dyn Fn(&Arc<RouteName>, &Message) -> Verdict + Send + Sync>;

/// Where an asynchronous handler runs.
pub(super) struct FuturePlace {
    make: MakeCalls,
    names: Arc<RouteName>,
    turns: Turns,
    /// Made once, so that a call allocates nothing; none after one that panicked or was cancelled.
    calls: Option<Calls>,
    /// Whether a call has been started and not ended.
    busy: bool,
}

impl FuturePlace {
    pub(super) fn new(make: MakeCalls, names: Arc<RouteName>) -> Self {
        let turns = Turns::default();
        Self {
            calls: Some(make(&names, turns.clone())),
            make,
            names,
            turns,
            busy: false,
        }
    }
}

impl Place for FuturePlace {
    fn start(&mut self, message: Message, cx: &mut Context<'_>) -> Poll<Verdict> {
        if self.busy {
            self.cancel();
        }
        self.turns.give(message);
        if self.calls.is_none() {
            self.calls = Some((self.make)(&self.names, self.turns.clone()));
        }
        self.busy = true;
        self.poll(cx)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Verdict> {
        // Taken out: a call that panics is not polled again.
        let Some(mut calls) = self.calls.take() else {
            return Poll::Ready(Verdict::NACK);
        };
        // The calls of a worker never end by themselves.
        let _ = calls.as_mut().poll(cx);
        self.calls = Some(calls);
        match self.turns.said() {
            Some(verdict) => {
                self.busy = false;
                Poll::Ready(verdict)
            }
            None => Poll::Pending,
        }
    }

    fn cancel(&mut self) -> bool {
        if self.busy {
            self.busy = false;
            // Taken out first: its destructors are the user's, and may panic.
            let calls = self.calls.take();
            drop(calls);
        }
        true
    }
}

/// Where a plain handler runs.
pub(super) struct BlockingPlace {
    pub(super) names: Arc<RouteName>,
    pub(super) call: BlockingCall,
    pub(super) running: Option<JoinHandle<Verdict>>,
}

impl Place for BlockingPlace {
    fn start(&mut self, message: Message, cx: &mut Context<'_>) -> Poll<Verdict> {
        let (names, call, span) = (
            self.names.clone(),
            self.call.clone(),
            tracing::Span::current(),
        );
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
