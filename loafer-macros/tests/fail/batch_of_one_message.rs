use loafer::prelude::*;

#[handler(route = "friend-created")]
async fn friend_created(_: Batch<u32>, metadata: Metadata) -> bool {
    metadata.attempt() > 1
}

fn main() {}
