use loafer::prelude::*;

#[handler(route = "friend-created")]
async fn friend_created() -> bool {
    true
}

fn main() {}
