use loafer::prelude::*;

#[handler(route = "friend-created", backoff(initial = "1h", max = "15m"))]
async fn friend_created(_: u32) -> bool {
    true
}

fn main() {}
