use loafer::prelude::*;

#[handler(route = "friend-created", on_error = |_| true)]
async fn friend_created(_: u32) -> bool {
    true
}

fn main() {}
