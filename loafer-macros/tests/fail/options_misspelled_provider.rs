use loafer::prelude::*;

#[handler(route = "orders", provder = Memory, options(exchange = "event"))]
async fn orders(_: u32) -> bool {
    true
}

fn main() {}
