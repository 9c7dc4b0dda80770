use loafer::prelude::*;

#[handler(route = "")]
async fn friend_created(_: u32) -> bool {
    true
}

fn main() {}
