use loafer::prelude::*;

#[handler(route = "friend-created", queue = "")]
async fn friend_created(_: u32) -> bool {
    true
}

fn main() {}
