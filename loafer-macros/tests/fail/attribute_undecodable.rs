use loafer::prelude::*;

#[handler(route = "friend-created", undecodable = "ack")]
async fn friend_created(_: u32) -> bool {
    true
}

fn main() {}
