use loafer::prelude::*;

#[handler(route = "orders", provider = Memory, exchange = "event", queue_type = "quorum")]
async fn orders(_: u32) -> bool {
    true
}

fn main() {}
