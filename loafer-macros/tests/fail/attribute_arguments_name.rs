use loafer::prelude::*;

#[handler(route = "order.*", arguments(x_max_length = 10_000))]
async fn orders(_: u32) -> bool {
    true
}

fn main() {}
