use loafer::prelude::*;

#[handler(route = "friend-created", backoff(initial = "1s", jitter = "full"))]
async fn friend_created(_: u32) -> bool {
    true
}

fn main() {}
