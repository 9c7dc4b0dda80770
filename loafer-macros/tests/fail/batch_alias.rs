use loafer::prelude::*;

type Friends = Batch<u32>;

#[handler(route = "friend-created")]
async fn friend_created(_: Friends) -> bool {
    true
}

fn main() {}
