use loafer::Event;

#[derive(Event)]
#[event(topic = "friend-created")]
struct FriendCreated;

fn main() {}
