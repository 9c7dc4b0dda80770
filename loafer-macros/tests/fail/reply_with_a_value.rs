use loafer::prelude::*;

#[handler(route = "price-wanted", reply = "quotes")]
async fn price_wanted(item: u64) -> u64 {
    item
}

fn main() {}
