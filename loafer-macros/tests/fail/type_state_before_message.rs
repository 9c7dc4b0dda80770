use loafer::prelude::*;

#[handler(route = "friend-created")]
async fn friend_created(pool: State<u32>, id: String, more: u32) -> bool {
    id.is_empty() || *pool > more
}

fn main() {}
