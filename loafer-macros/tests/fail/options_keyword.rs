#[path = "../support/rabbit.rs"]
mod rabbit;

use loafer::prelude::*;

#[handler(route = "orders", provider = rabbit::Rabbit, options(type = "quorum"))]
async fn orders(_: u32) -> bool {
    true
}

fn main() {}
