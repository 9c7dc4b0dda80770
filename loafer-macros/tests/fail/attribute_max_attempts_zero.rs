use loafer::prelude::*;

#[handler(route = "friend-created", max_attempts = 0)]
async fn friend_created(_: u32) -> bool {
    true
}

fn main() {}
