use loafer::prelude::*;

#[handler(route = "friend-created")]
fn friend_created(_: u32) -> impl Future<Output = bool> {
    std::future::ready(true)
}

fn main() {}
