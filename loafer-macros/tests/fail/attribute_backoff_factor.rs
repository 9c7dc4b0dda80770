use loafer::prelude::*;

#[handler(route = "friend-created", backoff(initial = "1s", factor = 0.5))]
async fn friend_created(_: u32) -> bool {
    true
}

fn main() {}
