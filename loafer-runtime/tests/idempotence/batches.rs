//! Handlers of batches.

use loafer_core::{
    extract::{Batch, BatchOutcome, Metadata, State},
    translate::Json,
};
use loafer_runtime::{
    program::{Route, RouteOptions},
    testing,
    testing::assert_idempotent,
};
use serde_json::{Value, json};

use crate::{Accounts, Payment, panic_of, said};

#[tokio::test(start_paused = true)]
async fn batch_handlers_go_through_all_of_it_too() {
    let once = || {
        Route::new("payments").batch_handler(
            Json,
            async |batch: Batch<Payment>, accounts: State<Accounts>| {
                for payment in &batch {
                    let (id, (name, cents)) = (payment.metadata().message_id(), &**payment);
                    accounts.add_once(&id.to_string(), name, *cents).await;
                }
                BatchOutcome::all(&batch, true)
            },
        )
    };
    assert_eq!(said(once).await, None);
    let in_two_steps = || {
        Route::new("payments")
            .options(RouteOptions::new().concurrency(1))
            .batch_handler(
                Json,
                async |batch: Batch<Payment>, accounts: State<Accounts>| {
                    for payment in &batch {
                        let id = payment.metadata().message_id().to_string();
                        if !accounts.knows(&id).await {
                            accounts.add(&payment.0, payment.1).await;
                            accounts.remember(&id).await;
                        }
                    }
                    true
                },
            )
    };
    let told = said(in_two_steps).await.unwrap();
    assert!(
        told.contains("the process died at an await of a handler (step "),
        "{told}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_batch_route_beside_the_tested_one_is_in_nobodys_way() {
    let test = assert_idempotent(
        async || Accounts::default(),
        async |accounts: &Accounts| {
            let payments = Route::new("payments").handler(
                Json,
                async |(name, cents): Payment, accounts: State<Accounts>, metadata: Metadata| {
                    let id = metadata.message_id().to_string();
                    accounts.add_once(&id, &name, cents).await;
                    true
                },
            );
            let beside = Route::new("beside").batch_handler(Json, async |_: Batch<Value>| true);
            testing::app()
                .state(accounts.clone())
                .route(payments)
                .route(beside)
        },
        [("payments", json!(["ana", 100]))],
        async |accounts: &Accounts| accounts.0.lock().await.balances.clone(),
    );
    assert_eq!(panic_of(test).await, None);
}
