use loafer::prelude::*;

trait Friends: Send + Sync {}

#[handler(route = "friend-created")]
async fn friend_created(_: u32, friends: State<dyn Friends>) -> bool {
    drop(friends);
    true
}

fn main() {}
