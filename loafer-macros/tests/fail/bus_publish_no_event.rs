use loafer::prelude::*;

#[derive(serde::Serialize)]
struct Friend;

#[handler(route = "friend-created")]
async fn friend_created(_: u32, bus: Bus) -> Result<bool, loafer::Error> {
    bus.publish(&Friend).await?;
    Ok(true)
}

fn main() {}
