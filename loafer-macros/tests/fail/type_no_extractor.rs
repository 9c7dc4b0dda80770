use loafer::prelude::*;

#[handler(route = "friend-created")]
async fn friend_created(_: u32, n: u32) -> bool {
    n > 0
}

fn main() {}
