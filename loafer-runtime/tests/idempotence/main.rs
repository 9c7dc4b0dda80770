//! The test of idempotence: what it finds, and what it lets pass.

#![allow(
    clippy::unwrap_used,
    reason = "outside of a test function, a helper panics as one"
)]

mod batches;

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    panic::AssertUnwindSafe,
    sync::Arc,
};

use futures_util::FutureExt;
use loafer_core::{
    Error,
    extract::{Metadata, State},
    message::Message,
    outcome::Outcome,
    translate::Json,
};
use loafer_runtime::{
    bus::Bus,
    program::{Route, RouteOptions},
    testing,
    testing::assert_idempotent,
};
use serde_json::{Value, json};
use tokio::{
    sync::{Mutex, MutexGuard},
    task::yield_now,
};

/// Balances, and the payments they know of.
#[derive(Clone, Default)]
struct Accounts(Arc<Mutex<Ledger>>);

#[derive(Default)]
struct Ledger {
    balances: BTreeMap<String, u64>,
    known: BTreeSet<String>,
}

impl Accounts {
    /// As a database: there is a way to it.
    async fn ledger(&self) -> MutexGuard<'_, Ledger> {
        yield_now().await;
        self.0.lock().await
    }

    async fn add(&self, name: &str, cents: u64) {
        *self
            .ledger()
            .await
            .balances
            .entry(name.to_owned())
            .or_default() += cents;
    }

    async fn knows(&self, id: &str) -> bool {
        self.ledger().await.known.contains(id)
    }

    async fn remember(&self, id: &str) {
        self.ledger().await.known.insert(id.to_owned());
    }

    /// All or nothing.
    async fn add_once(&self, id: &str, name: &str, cents: u64) {
        let mut ledger = self.ledger().await;
        if ledger.known.insert(id.to_owned()) {
            *ledger.balances.entry(name.to_owned()).or_default() += cents;
        }
    }
}

/// What a run of the test says of a service of this route, with two payments.
async fn said(route: fn() -> Route) -> Option<String> {
    let test = assert_idempotent(
        async || Accounts::default(),
        async |accounts: &Accounts| testing::app().state(accounts.clone()).route(route()),
        [
            ("payments", json!(["ana", 100])),
            ("payments", json!(["bea", 20])),
        ],
        async |accounts: &Accounts| accounts.0.lock().await.balances.clone(),
    );
    panic_of(test).await
}

async fn panic_of(test: impl Future<Output = ()>) -> Option<String> {
    let panic = AssertUnwindSafe(test).catch_unwind().await.err()?;
    Some(panic.downcast_ref::<String>().unwrap().clone())
}

type Payment = (String, u64);

#[tokio::test(start_paused = true)]
async fn what_is_done_once_in_one_go_is_idempotent() {
    let route = || {
        Route::new("payments").handler(
            Json,
            async |(name, cents): Payment, accounts: State<Accounts>, metadata: Metadata| {
                let id = metadata.message_id().to_string();
                accounts.add_once(&id, &name, cents).await;
                true
            },
        )
    };
    assert_eq!(said(route).await, None);
}

#[tokio::test(start_paused = true)]
async fn what_is_done_each_time_is_told_with_both_states() {
    let route = || {
        Route::new("payments").handler(
            Json,
            async |(name, cents): Payment, accounts: State<Accounts>| {
                accounts.add(&name, cents).await;
                true
            },
        )
    };
    let told = said(route).await.unwrap();
    assert!(
        told.starts_with("loafer-runtime/tests/idempotence/main.rs:"),
        "{told}"
    );
    assert!(told.contains("not idempotent: message 1 of 2, "), "{told}");
    assert!(
        told.contains("on route `payments`, was delivered twice in a row"),
        "{told}"
    );
    assert!(
        told.contains("\n  -     \"ana\": 100,\n  +     \"ana\": 200,\n"),
        "{told}"
    );
    assert!(told.contains("attempt 1: acked"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn looking_first_and_writing_later_fails_for_two_at_once() {
    let route = || {
        Route::new("payments").handler(
            Json,
            async |(name, cents): Payment, accounts: State<Accounts>, metadata: Metadata| {
                let id = metadata.message_id().to_string();
                if !accounts.knows(&id).await {
                    accounts.remember(&id).await;
                    accounts.add(&name, cents).await;
                }
                true
            },
        )
    };
    let told = said(route).await.unwrap();
    assert!(told.contains("was delivered twice at once"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn dying_between_two_writes_is_found() {
    // One at a time: two at once do no harm.
    let route = || {
        Route::new("payments")
            .options(RouteOptions::new().concurrency(1))
            .handler(
                Json,
                async |(name, cents): Payment, accounts: State<Accounts>, metadata: Metadata| {
                    let id = metadata.message_id().to_string();
                    if !accounts.knows(&id).await {
                        accounts.add(&name, cents).await;
                        accounts.remember(&id).await;
                    }
                    true
                },
            )
    };
    let told = said(route).await.unwrap();
    assert!(
        told.contains("the process died at an await of a handler (step "),
        "{told}"
    );
    assert!(told.contains("then, in a new process, "), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_memory_that_dies_with_its_process_is_found() {
    struct Seen {
        ids: Mutex<BTreeSet<String>>,
    }
    let test = assert_idempotent(
        async || Accounts::default(),
        async |accounts: &Accounts| {
            let route = Route::new("payments")
                .options(RouteOptions::new().concurrency(1))
                .handler(
                    Json,
                    async |(name, cents): Payment,
                           accounts: State<Accounts>,
                           seen: State<Seen>,
                           metadata: Metadata| {
                        let mut seen = seen.ids.lock().await;
                        if seen.insert(metadata.message_id().to_string()) {
                            accounts.add(&name, cents).await;
                        }
                        true
                    },
                );
            let seen = Seen {
                ids: Mutex::default(),
            };
            testing::app()
                .state(accounts.clone())
                .state(seen)
                .route(route)
        },
        [("payments", json!(["ana", 100]))],
        async |accounts: &Accounts| accounts.0.lock().await.balances.clone(),
    );
    let told = panic_of(test).await.unwrap();
    assert!(
        told.contains(
            "the process died after the handler was done and before the broker knew of it"
        ),
        "{told}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_last_word_of_an_old_message_is_found_on_a_standard_queue_and_not_asked_of_a_fifo_queue()
 {
    async fn said(queue: &'static str) -> Option<String> {
        let test = assert_idempotent(
            async || Accounts::default(),
            async |accounts: &Accounts| {
                let options = RouteOptions::new().queue(queue).concurrency(1);
                let route = Route::new("renamed").options(options).handler(
                    Json,
                    async |name: String, accounts: State<Accounts>| {
                        let mut ledger = accounts.ledger().await;
                        ledger.balances.clear();
                        ledger.balances.insert(name, 1);
                        true
                    },
                );
                testing::app().state(accounts.clone()).route(route)
            },
            ["ana", "bea"].map(|name| {
                let message = Message::new(format!("{name:?}")).with_group("g");
                ("renamed", message)
            }),
            async |accounts: &Accounts| accounts.0.lock().await.balances.clone(),
        );
        panic_of(test).await
    }
    assert_eq!(said("renamed.fifo").await, None);
    let told = said("renamed").await.unwrap();
    assert!(
        told.contains("was delivered again after all the others"),
        "{told}"
    );
    assert!(told.contains("message 1 of 2, "), "{told}");
}

#[tokio::test(start_paused = true)]
async fn what_a_handler_publishes_is_cut_too() {
    let test = assert_idempotent(
        async || Accounts::default(),
        async |accounts: &Accounts| {
            let orders = Route::new("orders").handler(Json, async |order: Value, bus: Bus| {
                bus.publish_to("invoices", &order).await?;
                Ok::<_, Error>(true)
            });
            let options = RouteOptions::new().concurrency(1);
            let invoices = Route::new("invoices").options(options).handler(
                Json,
                async |order: u64, accounts: State<Accounts>| {
                    let order = order.to_string();
                    if !accounts.knows(&order).await {
                        accounts.add("invoices", 1).await;
                        accounts.remember(&order).await;
                    }
                    true
                },
            );
            let app = testing::app().state(accounts.clone());
            app.route(orders).route(invoices)
        },
        [("orders", json!(1))],
        async |accounts: &Accounts| accounts.0.lock().await.balances.clone(),
    );
    let told = panic_of(test).await.unwrap();
    assert!(told.contains("the process died at an await"), "{told}");
    assert!(
        told.contains(" on route `invoices`, and a new one"),
        "{told}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_rejection_is_an_outcome_and_a_message_given_up_is_not() {
    async fn said(outcome: fn() -> Outcome) -> Option<String> {
        let test = assert_idempotent(
            async || (),
            async |(): &()| {
                let route = Route::new("r").handler(Json, move |_: Value| async move { outcome() });
                testing::app().route(route)
            },
            [("r", json!(1))],
            async |(): &()| (),
        );
        panic_of(test).await
    }
    let rejected = said(|| Outcome::Reject {
        reason: "never".into(),
    });
    assert_eq!(rejected.await, None);
    let told = said(|| Outcome::Retry {
        after: std::time::Duration::from_secs(1),
    });
    let told = told.await.unwrap();
    assert!(
        told.contains("is to be acked or rejected when all goes well"),
        "{told}"
    );
}

#[tokio::test]
async fn it_works_on_a_clock_that_runs() {
    let test = assert_idempotent(
        async || Accounts::default(),
        async |accounts: &Accounts| {
            let route = Route::new("names").handler(
                Json,
                async |name: String, accounts: State<Accounts>| {
                    accounts.remember(&name).await;
                    true
                },
            );
            testing::app().state(accounts.clone()).route(route)
        },
        [("names", json!("ana"))],
        async |accounts: &Accounts| accounts.0.lock().await.known.clone(),
    );
    assert_eq!(panic_of(test).await, None);
}
