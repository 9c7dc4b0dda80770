use loafer::prelude::*;

struct Friends;

#[handler(route = "friend-created")]
impl Friends {
    async fn handle(_: u32) -> bool {
        true
    }
}

fn main() {}
