use loafer::prelude::*;

#[derive(Event)]
#[event(topic = "friend-created", encoding = "Protobuf")]
struct FriendCreated;

fn main() {}
