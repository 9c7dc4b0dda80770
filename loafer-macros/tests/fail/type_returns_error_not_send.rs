use loafer::prelude::*;

#[handler(route = "friend-created")]
async fn friend_created(_: u32) -> Result<bool, Box<dyn std::error::Error>> {
    Ok(true)
}

fn main() {}
