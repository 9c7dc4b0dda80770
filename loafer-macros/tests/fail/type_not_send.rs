use loafer::prelude::*;

use std::rc::Rc;

#[handler(route = "friend-created")]
async fn friend_created(n: u32) -> bool {
    let shared = Rc::new(n);
    std::future::ready(()).await;
    *shared > 0
}

fn main() {}
