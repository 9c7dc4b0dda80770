use loafer::prelude::*;

#[handler(route = "friend-created")]
async fn friend_created(_: Batch<u32>) -> () {}

fn main() {}
