use loafer::prelude::*;

struct Friends {
    seen: std::cell::Cell<u32>,
}

#[handler(route = "friend-created")]
impl Friends {
    async fn handle(&self, _: u32) -> bool {
        true
    }
}

fn main() {}
