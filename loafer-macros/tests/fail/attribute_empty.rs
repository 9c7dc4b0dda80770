use loafer::prelude::*;

#[handler]
async fn friend_created(_: u32) -> bool {
    true
}

fn main() {}
