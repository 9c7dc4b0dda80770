use loafer::prelude::*;

#[derive(serde::Deserialize)]
struct Friend {
    id: String,
}

#[handler(route = "friend-created")]
async fn friend_created(metadata: Metadata, friend: Friend) -> bool {
    friend.id.is_empty() || metadata.attempt() > 1
}

fn main() {}
