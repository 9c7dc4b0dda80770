use loafer::prelude::*;

#[handler(route = "orders", topics = ["order.*", "order.*"])]
async fn orders(_: u32) -> bool {
    true
}

fn main() {}
