//! A service with two handlers on one route.

use loafer::prelude::*;

#[handler(route = "friend-created")]
async fn greet(_friend: String) -> bool {
    true
}

#[handler(route = "friend-created")]
async fn count(_friend: String) -> bool {
    true
}

loafer::main!();
