//! Options that one broker knows.

#![deny(warnings, clippy::all)]

#[path = "../support/rabbit.rs"]
mod rabbit;

use loafer::prelude::*;

use self::rabbit::Rabbit;

const OVERFLOW: &str = "reject-publish";

#[handler(
    route = "order-closed",
    provider = Rabbit,
    lease = "30s",
    options(
        exchange = "event",
        binding = ["order.closed", "order.paid"],
        arguments = { "x-max-length" = 10_000, "x-single-active-consumer" = true, "x-overflow" = OVERFLOW, "x-low" = -1 },
        priority = if cfg!(unix) { 1 } else { 2 },
    ),
    concurrency = 2,
)]
async fn order_closed(_: u32) -> bool {
    true
}

#[handler(route = "order-paid", options(exchange = format!("{}-{}", "event", 1)), provider = rabbit::Rabbit)]
fn order_paid(_: u32) -> bool {
    true
}

#[handler(route = "parentheses", provider = Rabbit, options(arguments("x-max-length" = 1)))]
fn parentheses(_: u32) -> bool {
    true
}

macro_rules! handlers {
    ($($name:ident: $provider:ty, $exchange:expr, $key:ident = $value:expr);*) => {$(
        #[handler(route = "by-macro", provider = $provider, options(exchange = $exchange, $key = $value))]
        async fn $name(_: u32) -> bool {
            true
        }
    )*};
}

handlers!(by_macro: Rabbit, "event", priority = 1 + 1);

fn main() {}
