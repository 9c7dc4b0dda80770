use loafer::prelude::*;

struct Friends;

impl Friends {
    #[handler(route = "friend-created")]
    async fn friend_created(&self, _: u32) -> bool {
        true
    }
}

fn main() {}
