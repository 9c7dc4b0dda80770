use loafer::prelude::*;

#[handler(route = "friend-created", publish = "friends")]
async fn friend_created(names: Batch<String>) -> Vec<String> {
    names.values().cloned().collect()
}

fn main() {}
