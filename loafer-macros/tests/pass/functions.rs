//! Every shape of function.

#![deny(warnings, clippy::all)]
#![forbid(unsafe_code)]

use loafer::prelude::*;
use loafer::{extract::{Context, Missing, Rejection, Resources}, FromContext};
use serde::Deserialize;

#[derive(Deserialize)]
pub struct Friend {
    id: String,
}

#[derive(Deserialize)]
struct Borrowed<'m> {
    id: &'m str,
}

struct Prices;

/// Asynchronous, with documentation.
#[handler(route = "asynchronous")]
async fn asynchronous(friend: Friend) -> bool {
    friend.id.is_empty()
}

#[handler(route = "plain", translator = Json)]
pub fn plain(friend: Friend, _metadata: Metadata) -> bool {
    friend.id.is_empty()
}

#[handler(route = "by-reference")]
pub(crate) async fn by_reference(friend: &Friend) -> Result<bool, std::io::Error> {
    tokio::task::yield_now().await;
    Ok(friend.id.is_empty())
}

#[handler(route = "plain-by-reference")]
fn plain_by_reference(friend: &Friend, prices: State<Prices>) -> Outcome {
    let Prices = *prices;
    if friend.id.is_empty() {
        Outcome::Ack
    } else {
        Outcome::Reject {
            reason: "not empty".into(),
        }
    }
}

#[handler(route = "borrowing")]
async fn borrowing(friend: Borrowed<'_>) -> anyhow::Result<Outcome> {
    tokio::task::yield_now().await;
    anyhow::ensure!(!friend.id.is_empty(), "empty");
    Ok(Outcome::Ack)
}

#[handler(route = "plain-borrowing")]
fn plain_borrowing(friend: Borrowed<'_>) -> bool {
    friend.id.is_empty()
}

#[handler(route = "text", translator = Text)]
async fn text(text: &str) -> bool {
    tokio::task::yield_now().await;
    text.is_empty()
}

#[handler(route = "owned-text", translator = loafer::Text)]
async fn owned_text(mut text: String) -> bool {
    text.push('.');
    text.is_empty()
}

#[handler(route = "slice", translator = Bytes)]
async fn slice(bytes: &[u8]) -> bool {
    bytes.is_empty()
}

#[handler(route = "bytes", translator = Bytes)]
async fn bytes(bytes: Bytes) -> bool {
    bytes.is_empty()
}

#[handler(route = "untouched")]
async fn untouched(message: Message) -> bool {
    message.payload().is_empty()
}

#[handler(route = "tuple")]
async fn tuple((id, count): (String, u32)) -> bool {
    id.len() == count as usize
}

#[handler(route = "value")]
async fn value(value: &serde_json::Value) -> bool {
    value.is_null()
}

/// An extractor of this program's own.
struct Tenant(String);

impl FromContext for Tenant {
    type Needs = ();

    fn needs(_: &Resources) -> Result<(), Missing> {
        Ok(())
    }

    fn from_context((): &(), context: &Context<'_>) -> Result<Self, Rejection> {
        let tenant = context.message().headers().get("tenant");
        tenant
            .map(|tenant| Self(tenant.to_owned()))
            .ok_or_else(|| Rejection::new("there is no header `tenant`"))
    }
}

#[handler(route = "extractors")]
async fn extractors(
    friend: &Friend,
    metadata: Metadata,
    #[allow(unused_variables)] prices: State<Prices>,
    State(shared): State<Prices>,
    raw: Message,
    tenant: Tenant,
    bus: Bus,
) -> bool {
    let (_, _) = (shared, bus);
    metadata.attempt() > 1
        && !tenant.0.is_empty()
        && raw.payload().is_empty()
        && friend.id.is_empty()
}

// Names that an expansion might use.

#[handler(route = "message")]
async fn message(message: Friend) -> bool {
    message.id.is_empty()
}

#[handler(route = "ready")]
async fn ready(context: &Friend, opened: Metadata) -> bool {
    context.id.is_empty() && opened.attempt() > 1
}

#[handler(route = "type")]
async fn r#type(r#match: Friend) -> bool {
    r#match.id.is_empty()
}

fn main() {}
