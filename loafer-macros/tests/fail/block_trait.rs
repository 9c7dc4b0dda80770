use loafer::prelude::*;

struct Friends;

trait Handles {
    fn handle(&self, _: u32) -> bool;
}

#[handler(route = "friend-created")]
impl Handles for Friends {
    fn handle(&self, _: u32) -> bool {
        true
    }
}

fn main() {}
