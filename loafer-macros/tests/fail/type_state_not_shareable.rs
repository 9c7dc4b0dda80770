use loafer::prelude::*;

use std::rc::Rc;

#[handler(route = "friend-created")]
async fn friend_created(_: u32, count: State<Rc<u8>>) -> bool {
    **count > 0
}

fn main() {}
