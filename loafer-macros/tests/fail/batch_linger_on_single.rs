use loafer::prelude::*;

#[handler(route = "friend-created", linger = "200ms")]
async fn friend_created(_: u32) -> bool {
    true
}

fn main() {}
