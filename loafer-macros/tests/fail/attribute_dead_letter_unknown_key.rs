use loafer::prelude::*;

#[handler(route = "order.*", dead_letter(exchange = "amq.direct", key = "dead"))]
async fn orders(_: u32) -> bool {
    true
}

fn main() {}
