use loafer::Event;
use serde::Serialize;

#[derive(Serialize, Event)]
#[event(topics = "friend-created", version = "2")]
struct FriendCreated;

fn main() {}
