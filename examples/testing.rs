//! How a service is tested: its functions as functions, its routes in memory and under virtual time.
//!
//! ```text
//! cargo test --example testing
//! cargo run --example testing -- --provider memory
//! ```

use std::{collections::HashMap, time::Duration};

use anyhow::Context;
use loafer::prelude::*;
use serde::Deserialize;
use tokio::sync::Mutex;

const HOUR: Duration = Duration::from_secs(3600);

#[derive(Deserialize)]
struct Payment {
    customer: String,
    cents: u64,
}

#[derive(Deserialize)]
struct Invoice {
    customer: String,
    cents: u64,
}

/// What customers have with us, in cents.
#[derive(Default)]
struct Accounts {
    balances: Mutex<HashMap<String, u64>>,
}

#[handler(route = "payment-received")]
async fn payment_received(payment: Payment, accounts: State<Accounts>) -> bool {
    let mut balances = accounts.balances.lock().await;
    *balances.entry(payment.customer).or_default() += payment.cents;
    true
}

#[handler(route = "invoice-issued", on_error = wait_for_the_customer)]
async fn invoice_issued(
    invoice: Invoice,
    accounts: State<Accounts>,
    metadata: Metadata,
) -> anyhow::Result<Outcome> {
    if invoice.cents == 0 {
        return Ok(Outcome::Reject {
            reason: "nothing to pay".into(),
        });
    }
    let mut balances = accounts.balances.lock().await;
    let balance = balances
        .get_mut(&invoice.customer)
        .context("the customer has no account")?;
    match balance.checked_sub(invoice.cents) {
        Some(rest) => {
            *balance = rest;
            Ok(Outcome::Ack)
        }
        None => Ok(Outcome::Retry {
            after: HOUR * metadata.attempt(),
        }),
    }
}

/// An account is made by its first payment, which may be on its way.
async fn wait_for_the_customer(failure: Failure) -> Outcome {
    match failure.metadata().attempt() {
        1 => Outcome::Retry { after: HOUR },
        _ => Outcome::Reject {
            reason: failure.reason().into(),
        },
    }
}

async fn setup(app: App) -> anyhow::Result<App> {
    Ok(app.state(Accounts::default()))
}

loafer::main!(setup);

#[cfg(test)]
mod tests {
    use loafer::{outcome::FailureKind, testing};

    use super::*;

    fn accounts(balances: &[(&str, u64)]) -> Accounts {
        let balances = balances
            .iter()
            .map(|(customer, cents)| (customer.to_string(), *cents));
        Accounts {
            balances: Mutex::new(balances.collect()),
        }
    }

    fn invoice(cents: u64) -> Invoice {
        Invoice {
            customer: "ana".into(),
            cents,
        }
    }

    // A handler is a function: its arguments are made by hand.

    #[tokio::test]
    async fn an_invoice_is_paid_from_the_account() {
        let accounts = State::new(accounts(&[("ana", 500)]));
        let metadata = Metadata::new(Message::new("{}"));
        let outcome = invoice_issued(invoice(300), accounts.clone(), metadata).await;
        assert_eq!(outcome.unwrap(), Outcome::Ack);
        assert_eq!(accounts.balances.lock().await["ana"], 200);
    }

    #[tokio::test]
    async fn each_attempt_waits_longer_for_the_money() {
        let metadata = Metadata::new(Message::new("{}").with_attempt(3));
        let outcome = invoice_issued(
            invoice(300),
            State::new(accounts(&[("ana", 299)])),
            metadata,
        )
        .await;
        assert_eq!(outcome.unwrap(), Outcome::Retry { after: 3 * HOUR });
    }

    #[tokio::test]
    async fn a_customer_still_unknown_after_an_hour_is_given_up() {
        let failure = |attempt| {
            let message = Message::new("{}").with_attempt(attempt);
            Failure::new(FailureKind::Error, "who?", message)
        };
        assert_eq!(
            wait_for_the_customer(failure(1)).await,
            Outcome::Retry { after: HOUR }
        );
        assert_eq!(
            wait_for_the_customer(failure(2)).await,
            Outcome::Reject {
                reason: "who?".into()
            }
        );
    }

    // A service is its handlers in memory: hours pass in no time.

    #[tokio::test(start_paused = true)]
    async fn payments_add_up() {
        let app = testing::app()
            .state(Accounts::default())
            .only(["payment-received"])
            .start()
            .await;
        for cents in [100, 20, 3] {
            app.publish(
                "payment-received",
                &json!({ "customer": "ana", "cents": cents }),
            )
            .await;
        }
        app.settled().await;
        app.assert_acked("payment-received", 3);
    }

    #[tokio::test(start_paused = true)]
    async fn an_invoice_is_paid_once_the_money_has_come() {
        let app = testing::app().state(accounts(&[("ana", 1)])).start().await;
        app.publish(
            "invoice-issued",
            &json!({ "customer": "ana", "cents": 300 }),
        )
        .await;
        app.advance(HOUR / 2).await;
        app.route("invoice-issued")
            .assert_retried(1)
            .assert_acked(0);
        app.publish(
            "payment-received",
            &json!({ "customer": "ana", "cents": 299 }),
        )
        .await;
        app.settled().await;
        app.route("invoice-issued")
            .assert_retried(1)
            .assert_acked(1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_invoice_is_a_dead_letter_at_once() {
        let app = testing::app().state(Accounts::default()).start().await;
        app.publish("invoice-issued", &json!({ "customer": "ana", "cents": 0 }))
            .await;
        app.settled().await;
        app.route("invoice-issued")
            .assert_dead_lettered("nothing to pay")
            .assert_retried(0);
    }

    #[tokio::test(start_paused = true)]
    async fn an_invoice_to_nobody_is_tried_twice() {
        let started = tokio::time::Instant::now();
        let app = testing::app().state(Accounts::default()).start().await;
        app.publish(
            "invoice-issued",
            &json!({ "customer": "ana", "cents": 300 }),
        )
        .await;
        app.settled().await;
        app.route("invoice-issued")
            .assert_failed(2)
            .assert_dead_lettered("the customer has no account");
        assert_eq!(started.elapsed().as_secs(), HOUR.as_secs());
    }
}
