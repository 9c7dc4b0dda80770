use loafer::prelude::*;

#[handler(route = "friend-created", publish = "friends")]
async fn friend_created(_: String) -> anyhow::Result<bool> {
    Ok(true)
}

fn main() {}
