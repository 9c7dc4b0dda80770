use loafer::prelude::*;

#[handler(route = "orders", group_by = "tenant")]
async fn order_placed(_: String) -> bool {
    true
}

fn main() {}
