use loafer::prelude::*;

struct Friends;

#[handler(route = "friend-created")]
impl Friends {
    async fn handle(&self) -> bool {
        true
    }
}

fn main() {}
