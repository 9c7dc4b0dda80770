use loafer::prelude::*;

#[derive(serde::Deserialize)]
struct Friend {
    id: String,
}

#[handler(route = "friend-created")]
async fn friend_created(Json(friend): Json<Friend>) -> bool {
    friend.id.is_empty()
}

fn main() {}
