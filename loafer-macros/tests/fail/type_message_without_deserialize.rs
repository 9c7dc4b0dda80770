use loafer::prelude::*;

struct Friend {
    id: String,
}

#[handler(route = "friend-created")]
async fn friend_created(friend: Friend) -> bool {
    friend.id.is_empty()
}

fn main() {}
