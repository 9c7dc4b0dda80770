use loafer::prelude::*;

#[handler(route = "orders", lease = "30s", visibility_timeout = "30s")]
async fn orders(_: u32) -> bool {
    true
}

fn main() {}
