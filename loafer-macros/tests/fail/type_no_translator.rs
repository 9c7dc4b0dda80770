use loafer::prelude::*;

struct NotOne;

#[handler(route = "friend-created", translator = NotOne)]
async fn friend_created(_: u32) -> bool {
    true
}

fn main() {}
