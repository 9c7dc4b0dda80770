//! Batch handlers of every form.

#![deny(warnings, clippy::all)]

use std::borrow::Cow;

use loafer::{BatchOutcome, FromContext, Outcome, extract::{Context, FromApp, Missing, Rejection, Resources}, outcome::BoxError, prelude::*};

#[derive(serde::Deserialize)]
struct Friend<'m> {
    name: Cow<'m, str>,
}

struct Pool;

#[handler(route = "outcomes", batch = 25, linger = "200ms")]
async fn outcomes(batch: Batch<u32>, pool: State<Pool>, bus: Bus) -> BatchOutcome {
    let _ = (&*pool, &bus);
    tokio::task::yield_now().await;
    batch.values().map(|number| *number > 0).collect()
}

#[handler(route = "for-all")]
async fn for_all(batch: loafer::Batch<Vec<u32>>) -> bool {
    !batch.is_empty()
}

#[handler(route = "borrowing")]
async fn borrowing(batch: Batch<Friend<'_>>) -> Result<BatchOutcome, BoxError> {
    tokio::task::yield_now().await;
    Ok(batch.iter().map(|friend| friend.name == "ana").collect())
}

#[handler(route = "text", translator = Text)]
async fn text(mut batch: Batch<&str>) -> Outcome {
    batch.iter_mut().for_each(|text| **text = text.trim());
    tokio::task::yield_now().await;
    Outcome::Ack
}

#[handler(route = "by-reference", linger = "0s")]
async fn by_reference(batch: &Batch<Message>, budget: Budget) -> Result<bool, std::io::Error> {
    tokio::task::yield_now().await;
    Ok(batch.len() as u64 <= budget.0)
}

#[handler(route = "blocking", batch = 1)]
fn blocking(batch: Batch<u32>, _: State<Pool>) -> BatchOutcome {
    BatchOutcome::all(&batch, true)
}

struct Biller;

#[handler(route = "method")]
impl Biller {
    async fn handle(&self, batch: Batch<u32>, _: State<Pool>) -> BatchOutcome {
        let mut outcome = BatchOutcome::all(&batch, true);
        for item in batch.iter().filter(|item| item.metadata().attempt() > 3) {
            outcome.set(item, false);
        }
        outcome
    }
}

/// An extractor of the app.
#[derive(Clone)]
struct Budget(u64);

impl FromContext for Budget {
    type Needs = Self;

    fn needs(_: &Resources) -> Result<Self, Missing> {
        Ok(Self(5))
    }

    fn from_context(needs: &Self, _: &Context<'_>) -> Result<Self, Rejection> {
        Ok(needs.clone())
    }
}

impl FromApp for Budget {
    fn from_app(needs: &Self) -> Self {
        needs.clone()
    }
}

mod own {
    /// A message that is called as ours is.
    #[derive(serde::Deserialize)]
    pub(crate) struct Batch {
        pub(crate) number: u32,
    }
}

#[handler(route = "own")]
async fn own_batch(batch: own::Batch) -> bool {
    batch.number > 0
}

macro_rules! batch_of {
    ($name:ident, $route:literal, $batch:ty) => {
        #[handler(route = $route)]
        async fn $name(_: $batch) -> bool {
            true
        }
    };
}

batch_of!(out_of_a_macro, "macro", Batch<u32>);

fn main() {}
