use loafer::prelude::*;

#[handler(route = "friend-created")]
async fn friend_created(_: &'static str) -> bool {
    true
}

fn main() {}
