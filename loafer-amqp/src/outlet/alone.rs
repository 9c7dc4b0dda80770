//! Sending once more, each by itself, what a closed channel took along.

use std::sync::Arc;

use lapin::Channel;
use tokio::time::timeout;

use super::{
    CONFIRM, Parcel, Unsent,
    book::{Open, read},
    line::{confirming, publish},
    unsent,
};
use crate::{
    error::{ACCESS_REFUSED, NOT_FOUND},
    link::Link,
};

/// Sends each message of which a closed channel is all that is known, on a channel of its own, and answers.
pub(super) async fn alone(link: Arc<Link>, parts: Vec<Open>) {
    let mut channel = None;
    let mut refused = Vec::new();
    for mut part in parts {
        let closed: Vec<usize> = part.closed().collect();
        for at in closed {
            if part.part.answer.is_closed() {
                break;
            }
            let parcel = &part.part.parcels[at];
            let answer = match known(&refused, parcel) {
                Some(unsent) => Err(unsent),
                None => one(&link, &mut channel, &part.part.what, parcel).await,
            };
            if let Err(unsent @ Unsent::Closed(..)) = &answer {
                refused.push((parcel.clone(), unsent.clone()));
            }
            part.set(at, answer);
        }
        part.tell();
    }
}

/// What holds for others, too: an exchange that is not there, or a place that is not ours to publish to.
fn known(refused: &[(Parcel, Unsent)], parcel: &Parcel) -> Option<Unsent> {
    let holds = |(before, unsent): &&(Parcel, Unsent)| {
        before.exchange == parcel.exchange
            && match unsent {
                Unsent::Closed(NOT_FOUND, _) => true,
                Unsent::Closed(ACCESS_REFUSED, _) => before.routing_key == parcel.routing_key,
                _ => false,
            }
    };
    refused.iter().find(holds).map(|(_, unsent)| unsent.clone())
}

async fn one(
    link: &Link,
    channel: &mut Option<Arc<Channel>>,
    what: &str,
    parcel: &Parcel,
) -> Result<(), Unsent> {
    link.unblocked().await;
    let opened = confirming(link, channel, what).await;
    let opened = opened.map_err(|error| unsent(&error))?;
    let mut returned = Vec::new();
    match timeout(CONFIRM, publish(&opened, parcel)).await {
        Ok(confirmed) => read(confirmed, &mut returned)?,
        Err(_) => {
            return Err(Unsent::Unknown(format!(
                "RabbitMQ did not confirm it within {CONFIRM:?}"
            )));
        }
    }
    match returned.is_empty() {
        true => Ok(()),
        false => Err(Unsent::Unroutable),
    }
}
