use loafer::prelude::*;

struct Friend;

#[handler(route = "friend-created")]
async fn friend_created(_: Batch<Friend>) -> bool {
    true
}

fn main() {}
