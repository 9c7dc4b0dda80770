//! Dead letters that are kept for long and copied back, and dead letters that are sent at a rate.

use std::{ops::ControlFlow, time::Duration};

use tokio::time::{Instant, sleep};

use crate::{
    BrokerUnderTest,
    case::{Checked, Fault, ensure},
    queue::{Queue, done},
    stage::{SHORT, Stage, numbered},
};
use loafer_core::{
    broker::{Broker, DeadLetter, DeadLetterQueue, Destination, PackedDeadLetter, Settlement},
    message::{EVENT_ID, Message},
    outcome::Outcome,
};
use loafer_runtime::{dead_letters::Selection, program::RouteOptions};

/// The pause between two looks at dead letters.
const PAUSE: Duration = Duration::from_millis(50);

/// A dead letter is packed, written as JSON and deleted. Then everything that saw it is gone, and what was written is copied to the source.
pub(super) async fn a_packed_dead_letter_comes_back_the_same_after_a_restart<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    // The poll of a service that has just ended may take what comes back, until its lease ends.
    let queue = stage.queue_with(|wanted| wanted.lease = SHORT).await?;
    let message = Message::new("{\"a\": \"ö\"}")
        .with_header(EVENT_ID, "event-1")
        .with_header("tenant", "acme")
        .with_header("number", "7");
    rejected(&queue, [message.clone()]).await?;
    let written = packed_and_deleted(&queue, stage.patience()).await?;

    let packed: PackedDeadLetter = serde_json::from_str(&written).map_err(Fault::new)?;
    let id = packed.message().id().to_string();
    let packed = packed.with_header("retried-by", "ana");
    let (broker, source, options) = queue.parts();
    let dead_letters = broker.dead_letters(&source, &options)?;
    dead_letters.open().await?;
    let mut answers = Vec::new();
    dead_letters
        .copy(&Destination::Source, &[packed], &mut answers)
        .await;
    ensure!(answers.len() == 1, "{} answers to one copy", answers.len());
    answers.into_iter().collect::<Result<Vec<_>, _>>()?;

    let provider = queue.provider().await?;
    let back = queue.receive_one(&provider).await?;
    let headers = back.message.headers();
    for (name, value) in message.headers().iter() {
        ensure!(
            headers.get(name) == Some(value),
            "its header `{name}` came back as {:?}",
            headers.get(name)
        );
    }
    ensure!(
        back.message.payload() == message.payload(),
        "it came back with another body"
    );
    let (from, by) = (
        headers.get(DeadLetter::RETRIED_FROM),
        headers.get("retried-by"),
    );
    ensure!(
        from == Some(&*id) && by == Some("ana"),
        "it came back from {from:?} by {by:?}, not from `{id}`"
    );
    ensure!(
        headers.get(DeadLetter::HEADER).is_none(),
        "it came back with its envelope"
    );
    done(&provider, &[back], &Settlement::Ack).await
}

/// Fifteen dead letters are sent to another queue at five a second, by the broker itself if it can.
pub(super) async fn all_are_sent_at_a_rate_and_no_faster<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    const COUNT: usize = 15;
    const RATE: u32 = 5;
    let (queue, other) = (stage.queue().await?, stage.queue().await?);
    rejected(&queue, numbered(0..COUNT)).await?;
    let dead_letters = queue.dead_letter_queue().await?;
    let to = Destination::Queue(other.made.queue.clone());
    let began = Instant::now();
    let mut on = |_| ControlFlow::Continue(());
    let sent = dead_letters
        .send(&Selection::All, &to, Some(RATE), &mut on)
        .await?;
    let took = began.elapsed();
    ensure!(
        sent.sent == COUNT as u64 && sent.failed.is_empty() && sent.error.is_none(),
        "of {COUNT} dead letters were sent: {sent:?}"
    );
    // The first second's may go at its beginning, and the last second's at its.
    let least = Duration::from_secs(COUNT as u64 / u64::from(RATE) - 1);
    ensure!(
        took >= least,
        "{COUNT} dead letters took {took:?} at {RATE} a second"
    );
    let provider = other.provider().await?;
    let all = other.receive(&provider, COUNT).await?;
    done(&provider, &all, &Settlement::Ack).await
}

/// Publishes these, and lets a service reject them all.
async fn rejected<S: BrokerUnderTest>(
    queue: &Queue<S>,
    messages: impl IntoIterator<Item = Message>,
) -> Checked {
    let messages: Vec<_> = messages.into_iter().collect();
    let count = messages.len() as u64;
    queue.publish(messages).await?;
    let handler = async |_: Message| Outcome::Reject {
        reason: "not yet".into(),
    };
    let program = queue.start(RouteOptions::new(), handler).await?;
    program
        .until("all rejected", |stats| stats.rejected == count)
        .await?;
    program.stop().await
}

/// Packs the one dead letter, deletes it, and returns what is left of it: JSON.
async fn packed_and_deleted<S: BrokerUnderTest>(
    queue: &Queue<S>,
    patience: Duration,
) -> Checked<String> {
    let (broker, source, options) = queue.parts();
    let dead_letters = broker.dead_letters(&source, &options)?;
    dead_letters.open().await?;
    let (mut leased, end) = (Vec::new(), Instant::now() + patience);
    while leased.is_empty() {
        ensure!(Instant::now() < end, "no dead letter after {patience:?}");
        dead_letters.lease(1, &mut leased).await?;
        sleep(PAUSE).await;
    }
    let written = serde_json::to_string(&dead_letters.pack(&leased[0]));
    let mut answers = Vec::new();
    dead_letters
        .delete(&[leased[0].receipt.clone()], &mut answers)
        .await;
    answers.into_iter().collect::<Result<Vec<_>, _>>()?;
    written.map_err(Fault::new)
}
