use loafer::prelude::*;

#[handler(route = "order.*", exchange = event)]
async fn orders(_: u32) -> bool {
    true
}

fn main() {}
