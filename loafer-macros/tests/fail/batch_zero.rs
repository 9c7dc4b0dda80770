use loafer::prelude::*;

#[handler(route = "friend-created", batch = 0, linger = 200)]
async fn friend_created(_: Batch<u32>) -> bool {
    true
}

fn main() {}
