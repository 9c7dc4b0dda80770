use loafer::prelude::*;

struct Friend;

#[handler(route = "friend-created")]
async fn friend_created(_: Friend, _: u32) -> () {}

fn main() {}
