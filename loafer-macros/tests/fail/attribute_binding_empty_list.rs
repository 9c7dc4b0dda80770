use loafer::prelude::*;

#[handler(route = "order.*", binding = [])]
async fn orders(_: u32) -> bool {
    true
}

fn main() {}
