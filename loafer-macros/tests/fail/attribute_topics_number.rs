use loafer::prelude::*;

#[handler(route = "orders", topics = 3)]
async fn orders(_: u32) -> bool {
    true
}

fn main() {}
