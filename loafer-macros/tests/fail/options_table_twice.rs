#[path = "../support/rabbit.rs"]
mod rabbit;

use loafer::prelude::*;

#[handler(route = "orders", provider = rabbit::Rabbit, options(arguments = { "x-max-length" = 1, "x-max-length" = 2 }))]
async fn orders(_: u32) -> bool {
    true
}

fn main() {}
