use loafer::prelude::*;

#[handler(route = "friend-created", publish)]
async fn friend_created(_: String) -> () {}

fn main() {}
