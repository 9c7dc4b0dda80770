use loafer::prelude::*;

#[handler(route = "friend-created", batch = 10)]
async fn friend_created(_: u32) -> bool {
    true
}

fn main() {}
