use loafer::prelude::*;

#[handler(route = "orders", topics = ["order.paid", ""])]
async fn orders(_: u32) -> bool {
    true
}

fn main() {}
