#[path = "../support/rabbit.rs"]
mod rabbit;

use loafer::prelude::*;

#[handler(route = "orders", provider = rabbit::Rabbit, options(arguments = { "x-max-length" = 10_000, "x-max-age" = 1.5 }))]
async fn orders(_: u32) -> bool {
    true
}

fn main() {}
