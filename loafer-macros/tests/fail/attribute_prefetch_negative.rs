use loafer::prelude::*;

#[handler(route = "friend-created", prefetch = -1)]
async fn friend_created(_: u32) -> bool {
    true
}

fn main() {}
