use loafer::prelude::*;

#[handler(route = "price-wanted", reply)]
async fn price_wanted(items: Batch<u64>) -> Vec<u64> {
    items.values().copied().collect()
}

fn main() {}
