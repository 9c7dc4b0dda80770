//! Events, and extractors made of extractors.

use loafer::{Bus, Event, Extension, FromContext, Metadata, State, handler, extract::{OptionalFromContext, Rejection, Resources}};
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

#[derive(Serialize, Event)]
#[event(topic = "paid.fifo", group = customer.id, deduplication_id = r#type)]
struct Paid<T: Serialize + std::fmt::Display> {
    customer: Customer,
    r#type: Option<T>,
}

#[derive(Serialize)]
struct Customer {
    id: u64,
}

#[derive(Serialize, Event)]
#[event(topic = "named.fifo", group = 1, deduplication_id = self.0)]
struct Named(String, &'static str);

struct Pool;

/// Absent without its pool, and without the number a layer puts on the message.
#[derive(FromContext, OptionalFromContext)]
struct Absent<T: Clone + Send + Sync + 'static> {
    pool: State<Pool>,
    number: Extension<T>,
    metadata: Result<Metadata, Rejection>,
    other: Option<State<u8>>,
}

#[derive(FromContext, OptionalFromContext)]
struct Nothing;

/// Its state is nobody else's business.
#[derive(FromContext, OptionalFromContext)]
pub struct Public {
    #[allow(dead_code)]
    pool: State<Pool>,
}

#[handler(route = "friend-renamed")]
async fn friend_renamed(_: String, absent: Option<Absent<u8>>, _: Option<Nothing>, _: Option<Public>) -> bool {
    absent.is_none_or(|absent| absent.number.0 > 0 && absent.metadata.is_ok() && absent.other.is_none() && std::ptr::eq(&*absent.pool, &*absent.pool))
}

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
    assert!(Common::needs(&Resources::new()).is_err());
    assert!(Optional::<State<Pool>>::needs(&Resources::new()).is_ok());
    _ = Optional::<Metadata>(None).0;
    assert!(Absent::<u8>::needs(&Resources::new()).is_err());
    assert!(Absent::<u8>::optional_needs(&Resources::new()).is_ok_and(|needs| needs.is_none()));
    let paid = Paid { customer: Customer { id: 7 }, r#type: Some(12) };
    assert_eq!((paid.group().as_deref(), paid.deduplication_id().as_deref()), (Some("7"), Some("12")));
    let unnamed = Paid { customer: Customer { id: 7 }, r#type: None::<u8> };
    assert_eq!(unnamed.deduplication_id(), None);
    let named = Named("ana".into(), "friends");
    assert_eq!((named.group().as_deref(), named.deduplication_id().as_deref()), (Some("friends"), Some("ana")));
}
