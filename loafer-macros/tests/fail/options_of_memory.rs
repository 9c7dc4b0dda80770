use loafer::prelude::*;

#[handler(route = "orders", provider = Memory, options(exchange = "event"))]
async fn orders(_: u32) -> bool {
    true
}

fn main() {}
