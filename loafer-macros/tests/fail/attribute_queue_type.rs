use loafer::prelude::*;

#[handler(route = "order.*", queue_type = "stream")]
async fn orders(_: u32) -> bool {
    true
}

fn main() {}
