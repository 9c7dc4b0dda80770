//! An order is closed, and three listeners hear of it: the stock, the invoices and the e-mails. Each has a queue of its own on the event
//! `order.closed`, so that none waits for another, and what one of them fails at is tried again for that one alone.
//!
//! ```text
//! cargo run --features amqp --example orders -- --provider memory   # with three orders to begin with, two of them without a known customer
//! cargo run --features amqp --example orders                        # on RabbitMQ, at AMQP_URL; then in another terminal:
//! cargo run --features amqp --example close_order -- 7 caio 1250
//! cargo run --features amqp --example orders -- dead-letters invoice list
//! CUSTOMERS=ana,caio cargo run --features amqp --example orders     # caio is known now
//! cargo run --features amqp --example orders -- dead-letters invoice retry --all
//! ```
//!
//! One process may run them all, or each its own: `orders run --only invoice`. Several of the same share its queue.

mod events;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, time::Duration};

use anyhow::Context;
use loafer::prelude::*;

use crate::events::OrderClosed;

/// The customers that invoices can be made out to.
struct Customers(BTreeSet<String>);

impl Customers {
    /// From a list of names, with commas.
    fn of(names: &str) -> Self {
        Self(names.split(',').map(str::to_owned).collect())
    }

    fn named(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

#[handler(route = "stock", provider = Amqp, topics = "order.closed")]
async fn stock(order: OrderClosed) -> bool {
    println!("stock: order {} leaves the shelf", order.id);
    true
}

#[handler(
    route = "invoice",
    provider = Amqp,
    topics = "order.closed",
    on_error = not_invoiced
)]
async fn invoice(order: OrderClosed, customers: State<Customers>) -> anyhow::Result<bool> {
    let customer = customers.named(&order.customer);
    let customer = customer.with_context(|| format!("nobody knows `{}`", order.customer))?;
    println!(
        "invoice: order {}, {} cents to {customer}",
        order.id, order.cents
    );
    Ok(true)
}

/// Asked about every failure. A customer may still be on the way; one that is not there a second later is for people to look at.
async fn not_invoiced(failure: Failure) -> Outcome {
    println!("invoice: {}", failure.reason());
    match failure.metadata().attempt() {
        1 => Outcome::Retry {
            after: Duration::from_secs(1),
        },
        _ => Outcome::Reject {
            reason: failure.reason().into(),
        },
    }
}

#[handler(route = "e-mail", provider = Amqp, topics = "order.closed")]
async fn e_mail(order: OrderClosed) -> bool {
    println!("e-mail: {} hears of order {}", order.customer, order.id);
    true
}

async fn setup(app: App) -> anyhow::Result<App> {
    let customers = std::env::var("CUSTOMERS").unwrap_or_else(|_| "ana".to_owned());
    let app = app.name("orders").state(Customers::of(&customers));
    // In memory there is no other program to tell of orders.
    Ok(match app.provider_name() {
        Some("memory") => close_some_orders(app),
        _ => app,
    })
}

fn close_some_orders(app: App) -> App {
    let bus = app.bus();
    app.on_started(move |_| {
        let bus = bus.clone();
        async move {
            for (id, customer) in [(1, "ana"), (2, "bia"), (3, "caio")] {
                let closed = OrderClosed {
                    id,
                    customer: customer.to_owned(),
                    cents: 1250,
                };
                bus.publish(&closed).await?;
            }
            Ok::<_, loafer::Error>(())
        }
    })
}

loafer::main!(setup);
