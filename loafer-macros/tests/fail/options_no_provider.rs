use loafer::prelude::*;

struct NotOne;

#[handler(route = "orders", provider = NotOne, options(exchange = "event"))]
async fn orders(_: u32) -> bool {
    true
}

fn main() {}
