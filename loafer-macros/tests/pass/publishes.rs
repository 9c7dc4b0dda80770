//! Handlers that return messages.

#![deny(warnings, clippy::all)]

use loafer::{Event, Message, Metadata, Outgoing, handler};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Order {
    id: u32,
}

#[derive(Serialize, Event)]
#[event(topic = "invoice-wanted")]
struct InvoiceWanted {
    order: u32,
}

#[derive(Serialize, Event)]
#[event(topic = "stock-taken", version = 2)]
struct StockTaken {
    order: u32,
}

#[derive(Serialize)]
struct Line<'o>(&'o str, u32);

#[handler(route = "value", publish = "lines")]
async fn value(order: Order) -> Line<'static> {
    Line("order", order.id)
}

#[handler(route = "borrowed", publish = "lines")]
async fn borrowed(order: &str, _: Metadata) -> String {
    order.to_owned()
}

#[handler(route = "optional", publish)]
async fn optional(order: Order) -> Option<InvoiceWanted> {
    (order.id > 0).then_some(InvoiceWanted { order: order.id })
}

type Invoices = Vec<InvoiceWanted>;
type Fallible<T> = anyhow::Result<T>;

#[handler(route = "several", publish = "invoices")]
async fn several(order: Order) -> Fallible<Invoices> {
    anyhow::ensure!(order.id > 0);
    Ok(vec![InvoiceWanted { order: order.id }])
}

#[handler(route = "tuple", publish)]
async fn tuple(order: Order) -> Result<(InvoiceWanted, Option<StockTaken>), std::num::TryFromIntError> {
    let order = order.id.try_into()?;
    Ok((InvoiceWanted { order }, Some(StockTaken { order })))
}

#[handler(route = "plain", publish = "raw")]
fn plain(order: &[u8]) -> Vec<Outgoing> {
    vec![Message::new(order.to_vec()).into()]
}

#[handler(route = "messages", publish = "raw")]
async fn messages(order: Message) -> Message {
    order
}

struct Biller;

#[handler(route = "type", publish)]
impl Biller {
    async fn handle(&self, order: Order) -> InvoiceWanted {
        InvoiceWanted { order: order.id }
    }
}

fn main() {}
