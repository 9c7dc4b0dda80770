use loafer::prelude::*;

struct Refused;

#[handler(route = "price-wanted", reply)]
async fn price_wanted(item: u64) -> Result<u64, Refused> {
    Ok(item)
}

fn main() {}
