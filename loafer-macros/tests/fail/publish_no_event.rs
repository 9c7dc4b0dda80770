use loafer::prelude::*;

#[handler(route = "friend-created", publish)]
async fn friend_created(name: String) -> Vec<String> {
    vec![name]
}

fn main() {}
