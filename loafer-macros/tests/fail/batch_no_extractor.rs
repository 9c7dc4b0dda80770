use loafer::prelude::*;

#[handler(route = "friend-created")]
async fn friend_created(_: Batch<u32>, n: u32) -> bool {
    n > 0
}

fn main() {}
