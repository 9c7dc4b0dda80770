//! Where a queue hangs, on brokers that have exchanges.

#![deny(warnings, clippy::all)]

use loafer::{policy::{Bindings, DeadLetterTarget, Declare, QueueType}, RouteOptions, prelude::*};

#[handler(
    route = "#",
    exchange = "event",
    binding = ["order.closed", "order.paid"],
    queue_type = "classic",
    arguments("x-max-length" = 10_000, "x-single-active-consumer" = true, "x-overflow" = "reject-publish", "x-low" = -1),
    declare = "verify",
    dead_letter(exchange = "amq.direct", routing_key = "dead", queue = "letters"),
)]
async fn everything(_: u32) -> bool {
    true
}

#[handler(route = "order.*", binding = "order.*", queue_type = "quorum", declare = "create", arguments = { "x-max-length" = 1 })]
async fn orders(_: u32) -> bool {
    true
}

#[handler(route = "friend-created", exchange = "", declare = "off", dead_letter = { routing_key = "dead" })]
fn friends(_: u32) -> bool {
    true
}

fn main() {
    // The same in code.
    _ = RouteOptions::new()
        .exchange("event")
        .binding(["order.closed", "order.paid"])
        .binding(Bindings::from("order.*"))
        .queue_type(QueueType::Quorum)
        .argument("x-max-length", 10_000)
        .declare(Declare::Verify)
        .dead_letter(DeadLetterTarget::new("amq.direct", "dead").in_queue("letters"));
}
