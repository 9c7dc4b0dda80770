use loafer::prelude::*;

#[handler(route = "friend-created", backoff = 1)]
async fn friend_created(_: u32) -> bool {
    true
}

fn main() {}
