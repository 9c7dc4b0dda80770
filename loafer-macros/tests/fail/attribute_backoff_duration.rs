use loafer::prelude::*;

#[handler(route = "friend-created", backoff = "soon")]
async fn friend_created(_: u32) -> bool {
    true
}

fn main() {}
