use loafer::prelude::*;

struct Quote;

#[handler(route = "price-wanted", reply)]
async fn price_wanted(_: u64) -> Option<Quote> {
    None
}

fn main() {}
