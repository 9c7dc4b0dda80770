use loafer::prelude::*;

#[handler(rout = "friend-created", concurrency = 0, timeout = "20", queue = "a", queue = "b", undecodable = "ack")]
async fn friend_created(_: &mut u32) {}

fn main() {}
