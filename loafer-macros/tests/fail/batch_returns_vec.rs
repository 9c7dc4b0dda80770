use loafer::prelude::*;

#[handler(route = "friend-created")]
fn friend_created(batch: Batch<u32>) -> Vec<bool> {
    batch.values().map(|n| *n > 0).collect()
}

fn main() {}
