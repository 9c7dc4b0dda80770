use loafer::prelude::*;

#[handler(route = "friend-created")]
extern "C" fn friend_created(_: u32) -> bool {
    true
}

fn main() {}
