use loafer::prelude::*;

#[handler(route = "friend-created", publish = "friends")]
async fn friend_created(name: String) -> (String, String) {
    (name.clone(), name)
}

fn main() {}
