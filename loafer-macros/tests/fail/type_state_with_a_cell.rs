use loafer::prelude::*;

struct Count {
    seen: std::cell::Cell<u32>,
}

#[handler(route = "friend-created")]
async fn friend_created(_: u32, count: State<Count>) -> bool {
    count.seen.get() > 0
}

fn main() {}
