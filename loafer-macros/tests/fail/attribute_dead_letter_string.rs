use loafer::prelude::*;

#[handler(route = "order.*", dead_letter = "dead")]
async fn orders(_: u32) -> bool {
    true
}

fn main() {}
