use loafer::prelude::*;

#[handler(route = "order.*", declare = "yes")]
async fn orders(_: u32) -> bool {
    true
}

fn main() {}
