//! Handlers that return replies.

#![deny(warnings, clippy::all)]

use loafer::{Bus, Message, Metadata, Outgoing, Replier, handler};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct PriceWanted {
    item: u32,
}

#[derive(Serialize)]
struct Quote<'q> {
    cents: u32,
    currency: &'q str,
}

#[handler(route = "value", reply)]
async fn value(wanted: PriceWanted) -> Quote<'static> {
    Quote { cents: wanted.item, currency: "EUR" }
}

#[handler(route = "optional", reply)]
async fn optional(wanted: PriceWanted, _: Metadata, _: Bus) -> Option<Quote<'static>> {
    (wanted.item > 0).then_some(Quote { cents: 1, currency: "EUR" })
}

type Fallible<T> = anyhow::Result<T>;

#[handler(route = "fallible", reply)]
async fn fallible(wanted: PriceWanted) -> Fallible<Option<Vec<u32>>> {
    anyhow::ensure!(wanted.item > 0);
    Ok(Some(vec![wanted.item]))
}

#[handler(route = "tuple", reply)]
async fn tuple(name: &str) -> Result<(String, usize), std::num::TryFromIntError> {
    Ok((name.to_owned(), name.len()))
}

#[handler(route = "plain", reply, concurrency = 2)]
fn plain(item: &[u8]) -> Outgoing {
    Message::new(item.to_vec()).into()
}

#[handler(route = "message", reply)]
async fn message(request: Message) -> Option<Message> {
    Some(request)
}

#[handler(route = "by-hand")]
async fn by_hand(item: u32, replier: Replier) -> Result<bool, loafer::Error> {
    replier.reply(&item).await?;
    Ok(replier.is_wanted())
}

struct Prices;

#[handler(route = "type", reply)]
impl Prices {
    async fn handle(&self, wanted: PriceWanted) -> u32 {
        wanted.item
    }
}

fn main() {}
