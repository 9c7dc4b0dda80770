use loafer::prelude::*;

#[handler(route = "friend-created")]
async fn friend_created<T: serde::de::DeserializeOwned>(_: T) -> bool {
    true
}

fn main() {}
