use loafer::prelude::*;

#[handler(route = "friend-created", visibility_timeout = "0s")]
async fn friend_created(_: u32) -> bool {
    true
}

fn main() {}
