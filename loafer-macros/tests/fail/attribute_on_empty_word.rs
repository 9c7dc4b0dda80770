use loafer::prelude::*;

#[handler(route = "orders", on = "order.")]
async fn order_placed(_: String) -> bool {
    true
}

fn main() {}
