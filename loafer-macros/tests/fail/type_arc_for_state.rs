use loafer::prelude::*;

struct Pool;

#[handler(route = "friend-created")]
async fn friend_created(_: u32, pool: std::sync::Arc<Pool>) -> bool {
    drop(pool);
    true
}

fn main() {}
