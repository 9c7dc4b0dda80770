//! One file of handlers, `handlers.rs`, unchanged: called as functions, run in memory, and run on SQS as a program. Each time the same comes of it.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]
#![allow(unreachable_pub, reason = "the handlers are those of a program, too")]

mod handlers;
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use handlers::{InvoiceWanted, Order, Prices};
use loafer::{Message, Metadata, Outcome, State, testing};
use serde_json::{Value, json};
use support::{
    Service,
    aws::{server, unique},
    program,
};

/// Four orders: of nothing, of a little, of too much for an invoice, and one that is looked at twice and then is too much as well.
fn orders() -> [Value; 4] {
    [(1, 0), (2, 3), (3, 21), (4, 1000)].map(|(id, count)| json!({ "id": id, "count": count }))
}

#[tokio::test]
async fn the_handlers_are_functions() {
    let prices = || {
        State::new(Prices {
            cents: 5,
            limit: 100,
        })
    };
    let attempt = |attempt| Metadata::new(Message::new("").with_attempt(attempt));
    let wanted = |order, cents| Some(InvoiceWanted { order, cents });
    let mut invoices = Vec::new();
    for order in orders() {
        let order = || serde_json::from_value::<Order>(order.clone()).unwrap();
        let invoice = match handlers::order_placed(order(), prices(), attempt(1)).await {
            Ok(invoice) => invoice,
            Err(error) => {
                assert_eq!(error.to_string(), "order 4 is for 1000 at once");
                let again = handlers::order_placed(order(), prices(), attempt(2));
                again.await.unwrap()
            }
        };
        invoices.push(invoice);
    }
    assert_eq!(
        invoices,
        [None, wanted(2, 15), wanted(3, 105), wanted(4, 5000)]
    );
    let outcomes = invoices
        .into_iter()
        .flatten()
        .map(|invoice| handlers::invoice_wanted(invoice, prices()));
    let over = Outcome::Reject {
        reason: "over the limit".into(),
    };
    assert_eq!(
        outcomes.collect::<Vec<_>>(),
        [Outcome::Ack, over.clone(), over]
    );
}

#[tokio::test(start_paused = true)]
async fn the_handlers_run_in_memory() {
    let app = testing::app().setup(handlers::setup).await.start().await;
    for order in orders() {
        app.publish("order-placed", &order).await;
    }
    app.settled().await;

    app.route("order-placed").assert_acked(4).assert_failed(1);
    let mut wanted = app.published_events::<InvoiceWanted>();
    wanted.sort_unstable_by_key(|invoice| invoice.order);
    let cents: Vec<_> = wanted.iter().map(|invoice| invoice.cents).collect();
    assert_eq!(cents, [15, 105, 5000]);
    let invoices = app.route("invoice-wanted");
    invoices
        .assert_acked(1)
        .assert_dead_lettered("over the limit");
    assert_eq!(invoices.dead_lettered(), 2);
}

#[tokio::test]
async fn the_handlers_run_on_sqs() {
    let Some(aws) = server("the_handlers_run_on_sqs") else {
        return;
    };
    let lease = Duration::from_secs(1);
    let orders_placed = aws.queue(&unique("order-placed"), lease, 10).await;
    let invoices = aws.queue(&unique("invoice-wanted"), lease, 10).await;
    let topic = aws.topic(&unique("invoice-wanted"), &invoices).await;
    let mut command = program(env!("CARGO_BIN_EXE_one_handler_file"), &[]);
    aws.tell(&mut command).envs([
        ("LOAFER_ROUTES__ORDER_PLACED__QUEUE", &*orders_placed.name),
        ("LOAFER_ROUTES__INVOICE_WANTED__QUEUE", &*invoices.name),
        ("LOAFER_TOPICS__INVOICE_WANTED__NAME", &*topic),
    ]);
    let service = Service::spawn(&mut command);
    service.stderr.wait_for("running").await;
    let bodies = orders().map(|order| order.to_string());
    orders_placed.send_all(bodies).await;

    let mut dead_letters = invoices.dead_letters.bodies(2).await.join("\n");
    dead_letters.retain(|character| character != '\\');
    for (order, cents) in [(3, 105), (4, 5000)] {
        let invoice = json!({ "order": order, "cents": cents });
        let invoice: InvoiceWanted = serde_json::from_value(invoice).unwrap();
        let body = serde_json::to_string(&invoice).unwrap();
        assert!(dead_letters.contains(&body), "{body} in\n{dead_letters}");
    }
    orders_placed.emptied().await;
    invoices.emptied().await;
    let ended = service.terminated().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let failed = "order 4 is for 1000 at once";
    assert_eq!(ended.stderr.matches(failed).count(), 1, "{}", ended.stderr);
    assert_eq!(orders_placed.dead_letters.depth().await, 0);
}
