use loafer::prelude::*;

#[handler(route = "friend-created")]
async fn friend_created(_: u32) -> Result<(), std::io::Error> {
    Ok(())
}

fn main() {}
