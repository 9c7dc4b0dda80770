use loafer::prelude::*;

#[handler(route = "friend-created")]
async fn friend_created(_: impl serde::de::DeserializeOwned) -> bool {
    true
}

fn main() {}
