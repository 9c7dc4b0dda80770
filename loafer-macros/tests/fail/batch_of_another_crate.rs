use loafer::handler;

struct Batch<T>(T);

#[handler(route = "friend-created")]
async fn friend_created(_: Batch<u32>) -> bool {
    true
}

fn main() {}
