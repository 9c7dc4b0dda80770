use loafer::prelude::*;

#[handler(route = "price-wanted", reply)]
async fn price_wanted(_: u64) -> anyhow::Result<bool> {
    Ok(true)
}

fn main() {}
