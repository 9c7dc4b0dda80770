//! Every option.

#![deny(warnings, clippy::all)]

use loafer::{Outcome, prelude::*};

#[handler(
    route = "all",
    translator = Json,
    provider = Memory,
    queue = "a-queue",
    topics = ["order.closed", "order.paid"],
    consumer = "billing",
    concurrency = 5,
    prefetch = 0,
    lease = "60s",
    timeout = "1m 30s",
    backoff(initial = "1s", factor = 1.5, max = "15m", jitter = false),
    max_attempts = 5,
    undecodable = "reject",
    on_error = give_up,
)]
async fn all(_: u32) -> bool {
    true
}

#[handler(route = "braces", backoff = { initial = "250ms", factor = 2 }, undecodable = "retry", on_error = nested::give_up)]
fn braces(_: u32) -> bool {
    true
}

#[handler(route = "plain", backoff = "1s", provider = loafer::Memory, visibility_timeout = "60s")]
fn plain(_: u32) -> bool {
    true
}

#[handler(route = "generic", topics = "order.*", translator = Wrapped<Json, Vec<u8>>, queue = "q")]
fn generic(_: u32) -> bool {
    true
}

async fn give_up(failure: Failure) -> Outcome {
    Outcome::Reject {
        reason: failure.reason().into(),
    }
}

mod nested {
    pub(crate) async fn give_up(failure: loafer::program::Failure) -> Result<bool, std::io::Error> {
        Ok(failure.metadata().attempt() > 3)
    }
}

/// A translator around another.
struct Wrapped<T, U>(T, std::marker::PhantomData<fn() -> U>);

impl<T: Default, U> Default for Wrapped<T, U> {
    fn default() -> Self {
        Self(T::default(), std::marker::PhantomData)
    }
}

impl<T: loafer::translate::Envelope, U: 'static> loafer::translate::Envelope for Wrapped<T, U> {
    fn open<'m>(
        &self,
        raw: &'m Message,
    ) -> Result<std::borrow::Cow<'m, Message>, loafer::translate::TranslateError> {
        self.0.open(raw)
    }
}

impl<'m, T: loafer::translate::Translator<'m, M>, U, M> loafer::translate::Translator<'m, M> for Wrapped<T, U> {
    fn translate(&self, message: &'m Message) -> Result<M, loafer::translate::TranslateError> {
        self.0.translate(message)
    }
}

fn main() {}
