//! Tells that an order is closed, once RabbitMQ has confirmed it; who listens is not its business.
//!
//! ```text
//! cargo run --features amqp --example close_order -- 7 ana 1250
//! ```

mod events;

use anyhow::Context;
use loafer::{
    broker::{Broker, Instance},
    prelude::*,
};

use crate::events::OrderClosed;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |what| {
        let usage = || format!("{what} is missing: close_order ORDER CUSTOMER CENTS");
        arguments.next().with_context(usage)
    };
    let closed = OrderClosed {
        id: next("ORDER")?.parse().context("ORDER is a number")?,
        customer: next("CUSTOMER")?,
        cents: next("CENTS")?.parse().context("CENTS is a number")?,
    };
    let mut amqp = Amqp::default();
    // Reads AMQP_URL; the app's name is what messages say they are from.
    amqp.configure(&Instance::new(Amqp::KIND, Amqp::KIND, Some("shop"), None))?;
    let id = Bus::new(amqp.publisher()).publish(&closed).await?;
    println!("{id}");
    Ok(())
}
