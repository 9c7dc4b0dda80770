use loafer::prelude::*;

#[handler(route = "orders", on = "order.*", unmatched = "drop")]
async fn order_placed(_: String) -> bool {
    true
}

fn main() {}
