use loafer::prelude::*;

#[handler(route = "order.*", binding = 3)]
async fn orders(_: u32) -> bool {
    true
}

fn main() {}
