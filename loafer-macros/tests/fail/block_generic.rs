use loafer::prelude::*;

struct Friends<T>(T);

#[handler(route = "friend-created")]
impl<T> Friends<T> {
    async fn handle(&self, _: u32) -> bool {
        true
    }
}

fn main() {}
