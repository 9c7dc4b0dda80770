use loafer::prelude::*;

#[handler(queue = "friends")]
async fn friend_created(_: u32) -> bool {
    true
}

fn main() {}
