use loafer::prelude::*;

#[handler(route = "friend-created")]
struct Friend;

fn main() {}
