#[path = "../support/rabbit.rs"]
mod rabbit;

use loafer::prelude::*;

#[handler(route = "orders", provider = rabbit::Rabbit, options(arguments = { "" = 1 }))]
async fn orders(_: u32) -> bool {
    true
}

fn main() {}
