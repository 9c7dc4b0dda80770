use loafer::prelude::*;

#[handler(route = "friend-created")]
async fn friend_created(_: u32, _: &Metadata) -> bool {
    true
}

fn main() {}
