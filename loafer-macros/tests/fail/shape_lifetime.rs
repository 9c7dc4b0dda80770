use loafer::prelude::*;

#[handler(route = "friend-created")]
async fn friend_created<'m>(_: std::borrow::Cow<'m, str>) -> bool {
    true
}

fn main() {}
