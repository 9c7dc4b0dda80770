use loafer::prelude::*;

#[handler(route = FRIEND_CREATED)]
async fn friend_created(_: u32) -> bool {
    true
}

fn main() {}
