use loafer::prelude::*;

#[derive(serde::Serialize, Event)]
#[event(topic = "friend-created")]
struct FriendCreated;

#[handler(route = "friend-created", publish)]
async fn friend_created(name: String) -> (FriendCreated, String) {
    (FriendCreated, name)
}

fn main() {}
