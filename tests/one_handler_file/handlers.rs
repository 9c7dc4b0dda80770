//! The handlers of a service: the one file whose functions a unit test calls, that a test runs in memory, and that a program runs on SQS.
//! Nothing in it knows where it is.

use loafer::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
pub struct Order {
    pub id: u64,
    pub count: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(topic = "invoice-wanted")]
pub struct InvoiceWanted {
    pub order: u64,
    pub cents: u64,
}

pub struct Prices {
    pub cents: u64,
    pub limit: u64,
}

/// Wants an invoice, where there is something to pay for. What seems too much is looked at twice.
#[handler(route = "order-placed", translator = Sns, publish)]
pub async fn order_placed(
    order: Order,
    prices: State<Prices>,
    metadata: Metadata,
) -> anyhow::Result<Option<InvoiceWanted>> {
    anyhow::ensure!(
        order.count < 1000 || metadata.attempt() > 1,
        "order {} is for {} at once",
        order.id,
        order.count
    );
    let cents = order.count * prices.cents;
    Ok((cents > 0).then_some(InvoiceWanted {
        order: order.id,
        cents,
    }))
}

/// Runs on the blocking pool.
#[handler(route = "invoice-wanted", translator = Sns)]
#[expect(
    clippy::needless_pass_by_value,
    reason = "arguments of handlers are values"
)]
pub fn invoice_wanted(invoice: InvoiceWanted, prices: State<Prices>) -> Outcome {
    match invoice.cents > prices.limit {
        true => Outcome::Reject {
            reason: "over the limit".into(),
        },
        false => Outcome::Ack,
    }
}

pub async fn setup(app: App) -> anyhow::Result<App> {
    Ok(app.state(Prices {
        cents: 5,
        limit: 100,
    }))
}
