use loafer::prelude::*;

#[handler(route = "order.*", dead_letter(exchange = "amq.direct"))]
async fn orders(_: u32) -> bool {
    true
}

fn main() {}
