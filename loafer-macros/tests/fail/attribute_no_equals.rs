use loafer::prelude::*;

#[handler(route = "friend-created", queue "friends")]
async fn friend_created(_: u32) -> bool {
    true
}

fn main() {}
