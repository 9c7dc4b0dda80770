//! The encoding does not encode such a type, or is none.

use loafer::prelude::*;

#[derive(Event)]
#[event(topic = "photo-taken", encoding = Bytes)]
struct PhotoTaken(Vec<u8>);

#[derive(Event)]
#[event(topic = "friend-left", encoding = String)]
struct FriendLeft;

fn main() {}
