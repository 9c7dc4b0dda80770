use loafer::prelude::*;

#[handler(route = "friend-created", timeout = 20)]
async fn friend_created(_: u32) -> bool {
    true
}

fn main() {}
