use loafer::prelude::*;

#[handler(route = "orders", lease = "0s")]
async fn orders(_: u32) -> bool {
    true
}

fn main() {}
