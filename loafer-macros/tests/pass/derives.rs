//! Events, and extractors made of extractors.

use loafer::{App, Bus, Event, FromContext, Metadata, State, handler};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Event)]
#[event(topic = "friend-created")]
struct FriendCreated {
    id: String,
}

#[derive(Serialize, Event)]
#[event(topic = "friend-renamed", version = 2)]
enum FriendRenamed<'n> {
    To(&'n str),
}

struct Pool;

#[derive(FromContext)]
struct Common {
    #[allow(dead_code)]
    pool: State<Pool>,
    metadata: Metadata,
    bus: Bus,
}

#[derive(FromContext)]
struct Optional<E: FromContext>(Option<E>);

#[handler(route = "friend-created")]
async fn friend_created(friend: FriendCreated, common: Common, _: Optional<Metadata>) -> anyhow::Result<bool> {
    common.bus.publish(&FriendRenamed::To(&friend.id)).await?;
    Ok(common.metadata.attempt() > 0)
}

fn main() {
    assert_eq!((FriendCreated::TOPIC, FriendCreated::VERSION), ("friend-created", 1));
    assert_eq!((FriendRenamed::TOPIC, FriendRenamed::VERSION), ("friend-renamed", 2));
    assert!(Common::needs(&App::new()).is_err());
    assert!(Optional::<State<Pool>>::needs(&App::new()).is_ok());
    _ = Optional::<Metadata>(None).0;
}
