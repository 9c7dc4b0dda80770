use loafer::prelude::*;

#[handler(route = "order.*", arguments("x-max-length" = 1.5, "x-overflow" = reject))]
async fn orders(_: u32) -> bool {
    true
}

fn main() {}
