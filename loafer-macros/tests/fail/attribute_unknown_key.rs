use loafer::prelude::*;

#[handler(rout = "friend-created")]
async fn friend_created(_: u32) -> bool {
    true
}

fn main() {}
