use loafer::prelude::*;

struct Friend;

#[handler(route = "friend-created", publish = "friends")]
async fn friend_created(_: String) -> Option<Friend> {
    None
}

fn main() {}
