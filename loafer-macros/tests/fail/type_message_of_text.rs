use loafer::prelude::*;

#[derive(serde::Deserialize)]
struct Friend {
    id: String,
}

#[handler(route = "friend-created", translator = Text)]
async fn friend_created(friend: Friend) -> bool {
    friend.id.is_empty()
}

fn main() {}
