//! Types as handlers.

#![deny(warnings, clippy::all)]

use std::sync::atomic::{AtomicU32, Ordering};

use loafer::prelude::*;

struct Biller {
    seen: AtomicU32,
}

#[handler(route = "invoice-issued")]
impl Biller {
    const LIMITS: [u32; 2] = { [1, 2] };

    pub fn new() -> Self {
        Self {
            seen: AtomicU32::new(0),
        }
    }

    /// What the route calls.
    async fn handle(&self, invoice: u32, metadata: Metadata) -> Result<bool, anyhow::Error> {
        tokio::task::yield_now().await;
        self.seen.fetch_add(invoice, Ordering::Relaxed);
        Ok(metadata.attempt() > 1 && Self::LIMITS.contains(&invoice))
    }

    fn seen(&self) -> u32 {
        self.seen.load(Ordering::Relaxed)
    }
}

mod accounts {
    pub(crate) struct Accountant;
}

#[loafer::handler(route = "plain")]
impl accounts::Accountant {
    fn handle(&self, text: &serde_json::Value) -> Outcome {
        if text.is_null() {
            Outcome::Ack
        } else {
            Outcome::Reject {
                reason: "no".into(),
            }
        }
    }
}

struct Generic<T>(T);

#[handler(route = "generic", translator = Text)]
impl Generic<u32> {
    pub async fn handle(&self, text: &str, _: State<Biller>) -> bool {
        text.len() > self.0 as usize
    }
}

fn main() {
    let app = App::new()
        .state(Biller::new())
        .state(accounts::Accountant)
        .state(Generic(1_u32));
    assert_eq!(app.shared::<Biller>().map(|biller| biller.seen()), Some(0));
    assert!(accounts::Accountant.handle(&json!(null)) == Outcome::Ack);
}
