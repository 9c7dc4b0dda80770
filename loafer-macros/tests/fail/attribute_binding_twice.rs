use loafer::prelude::*;

#[handler(route = "order.*", binding = ["order.*", "order.*"])]
async fn orders(_: u32) -> bool {
    true
}

fn main() {}
