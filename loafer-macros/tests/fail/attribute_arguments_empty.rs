use loafer::prelude::*;

#[handler(route = "order.*", arguments())]
async fn orders(_: u32) -> bool {
    true
}

fn main() {}
