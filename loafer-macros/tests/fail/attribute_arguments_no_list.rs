use loafer::prelude::*;

#[handler(route = "order.*", arguments = "x-max-length")]
async fn orders(_: u32) -> bool {
    true
}

fn main() {}
