use loafer::prelude::*;

#[handler(route = "friend-created", on_error = give_up)]
async fn friend_created(_: u32) -> bool {
    true
}

async fn give_up(_: Failure, _: State<u32>) -> bool {
    true
}

fn main() {}
