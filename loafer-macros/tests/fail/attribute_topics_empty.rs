use loafer::prelude::*;

#[handler(route = "orders", topics = [])]
async fn orders(_: u32) -> bool {
    true
}

fn main() {}
