use loafer::Event;
use serde::Serialize;

#[derive(Serialize, Event)]
struct FriendCreated;

fn main() {}
