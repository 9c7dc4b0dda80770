use loafer::prelude::*;

#[handler(route = "orders", consumer = "")]
async fn orders(_: u32) -> bool {
    true
}

fn main() {}
