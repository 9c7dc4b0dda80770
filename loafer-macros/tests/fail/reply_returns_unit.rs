use loafer::prelude::*;

#[handler(route = "price-wanted", reply)]
async fn price_wanted(_: u64) -> Result<(), std::fmt::Error> {
    Ok(())
}

fn main() {}
