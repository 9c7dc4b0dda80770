use loafer::prelude::*;

#[handler(route = "friend-created")]
async fn friend_created(_: Freind) -> bool {
    true
}

fn main() {}
