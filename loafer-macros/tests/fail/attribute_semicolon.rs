use loafer::prelude::*;

#[handler(route = "friend-created"; concurrency = 5)]
async fn friend_created(_: u32) -> bool {
    true
}

fn main() {}
