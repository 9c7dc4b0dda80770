//! The channel that everything is published on: handed over as it comes, answered as the broker confirms it.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use lapin::{
    Channel, Confirmation,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use loafer_core::Error;
use tokio::{
    select,
    sync::mpsc::UnboundedReceiver,
    time::{MissedTickBehavior, interval, timeout},
};

use super::{
    Parcel,
    book::{Book, Confirmed, Part},
    unsent,
};
use crate::link::{ANSWER, Link, answered};

/// How often it is looked for messages that were not confirmed in time.
const LOOK: Duration = Duration::from_secs(1);

/// Publishes what comes, until nobody can send any more and all of it is answered.
///
/// One task sees to the confirms of all: the client gives a message that came back to whichever confirm comes next, and that may be anybody's.
pub(super) async fn run(link: Arc<Link>, mut parts: UnboundedReceiver<Part>) {
    let mut book = Book::new(&link);
    let mut channel = None;
    let mut confirms = FuturesUnordered::new();
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut over = false;
    loop {
        let blocked = link.is_blocked();
        select! {
            biased;
            Some(first) = confirms.next() => {
                book.note(first);
                while let Some(Some(more)) = confirms.next().now_or_never() {
                    book.note(more);
                }
                if book.lost_its_channel() {
                    channel = None;
                    // The others on it are told the same.
                    let others = async {
                        while let Some(more) = confirms.next().await {
                            book.note(more);
                        }
                    };
                    _ = timeout(ANSWER, others).await;
                }
                book.conclude();
            }
            next = parts.recv(), if !over && !blocked => {
                let opened = match &next {
                    Some(part) => confirming(&link, &mut channel, &part.what).await,
                    None => {
                        over = true;
                        continue;
                    }
                };
                let mut next = next;
                while let Some(part) = next {
                    match &opened {
                        Ok(channel) => {
                            let parcels = part.parcels.clone();
                            for (number, at) in book.open(part) {
                                confirms.push(hand_over(channel.clone(), parcels.clone(), at, number));
                            }
                        }
                        // The others would wait for a connection as long again.
                        Err(error) => part.tell(Err(unsent(error))),
                    }
                    next = parts.try_recv().ok();
                }
            }
            () = link.unblocked(), if blocked => {}
            _ = look.tick(), if !book.is_empty() => match blocked {
                true => book.prolong(),
                false => book.expire(),
            },
            else => return,
        }
    }
}

/// The channel with confirms, opened where there is none. Shared: a clone of the client's own handle counts up a dozen owners.
pub(super) async fn confirming(
    link: &Link,
    known: &mut Option<Arc<Channel>>,
    what: &str,
) -> Result<Arc<Channel>, Error> {
    if let Some(channel) = known.as_ref().filter(|known| known.status().connected()) {
        return Ok(channel.clone());
    }
    let channel = link.channel("publishing", what).await?;
    let selected = channel.confirm_select(ConfirmSelectOptions::default());
    answered("publishing", what, selected).await?;
    Ok(known.insert(Arc::new(channel)).clone())
}

/// Hands a message over at its first poll, then waits for its confirm.
async fn hand_over(
    channel: Arc<Channel>,
    parcels: Arc<[Parcel]>,
    at: usize,
    number: u64,
) -> Confirmed {
    let confirmed = publish(&channel, &parcels[at]).await;
    Confirmed {
        number,
        at,
        confirmed,
    }
}

pub(super) async fn publish(channel: &Channel, parcel: &Parcel) -> lapin::Result<Confirmation> {
    let options = BasicPublishOptions {
        mandatory: parcel.mandatory,
        ..BasicPublishOptions::default()
    };
    let published = channel.basic_publish(
        (*parcel.exchange).into(),
        (*parcel.routing_key).into(),
        options,
        &parcel.payload,
        parcel.properties.clone(),
    );
    published.await?.await
}
