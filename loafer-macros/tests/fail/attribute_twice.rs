use loafer::prelude::*;

#[handler(route = "friend-created", queue = "a", queue = "b")]
async fn friend_created(_: u32) -> bool {
    true
}

fn main() {}
