use loafer::prelude::*;

struct Trouble;

#[handler(route = "friend-created")]
async fn friend_created(_: u32) -> Result<bool, Trouble> {
    Err(Trouble)
}

fn main() {}
