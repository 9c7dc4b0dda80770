use loafer::prelude::*;

#[handler(route = "order.*", arguments("x-max-length" = 1, "x-max-length" = 2))]
async fn orders(_: u32) -> bool {
    true
}

fn main() {}
