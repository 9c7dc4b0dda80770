use loafer::prelude::*;

struct Friends;

#[handler(route = "friend-created")]
impl Friends {
    async fn handle(&self, _: u32) {}
}

fn main() {}
