use loafer::prelude::*;

struct Trouble;

#[handler(route = "friend-created", publish = "friends")]
async fn friend_created(name: String) -> Result<String, Trouble> {
    Ok(name)
}

fn main() {}
