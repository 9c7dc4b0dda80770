use loafer::prelude::*;

#[handler(route = "order.*", binding = ["order.paid", ""])]
async fn orders(_: u32) -> bool {
    true
}

fn main() {}
