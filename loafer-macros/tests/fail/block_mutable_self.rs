use loafer::prelude::*;

struct Friends;

#[handler(route = "friend-created")]
impl Friends {
    async fn handle(&mut self, _: u32) -> bool {
        true
    }
}

fn main() {}
