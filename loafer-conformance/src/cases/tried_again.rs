//! Dead letters that are sent away: a copy arrives, and only then the dead letter is deleted.

use std::{ops::ControlFlow, time::Duration};

use tokio::time::{Instant, sleep};

use crate::{
    BrokerUnderTest,
    case::{Checked, ensure},
    ledger::Ledger,
    stage::{Stage, numbered},
};
use loafer_core::{
    broker::{DeadLetter, Destination},
    message::{Message, MessageId},
    outcome::Outcome,
};
use loafer_runtime::{
    dead_letters::{DeadLetters, Selection},
    program::RouteOptions,
};

/// The pause between two looks at dead letters.
const PAUSE: Duration = Duration::from_millis(50);

/// Of three rejected messages one is tried again and handled; the others are moved to another queue, as they are. Then no dead letter is left.
pub(super) async fn a_dead_letter_that_is_sent_arrives_before_it_is_deleted<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    let (queue, other) = (stage.queue().await?, stage.queue().await?);
    queue.publish(numbered(0..3)).await?;
    let seen = Ledger::new();
    let handler = {
        let seen = seen.clone();
        move |message: Message| {
            let first = seen.note(&message) == 1;
            let has_envelope = message.headers().get(DeadLetter::HEADER).is_some();
            async move {
                match first || has_envelope {
                    true => Outcome::Reject {
                        reason: "not yet".into(),
                    },
                    false => Outcome::Ack,
                }
            }
        }
    };
    let program = queue.start(RouteOptions::new(), handler).await?;
    seen.reaches(3, stage.patience()).await?;
    let dead_letters = queue.dead_letter_queue().await?;
    let mut left = listed(&dead_letters, 3, stage.patience()).await?;

    let (again, _) = left.swap_remove(1);
    send(&dead_letters, vec![again], &Destination::Source).await?;
    program.until("one acked", |stats| stats.acked == 1).await?;
    program.stop().await?;
    ensure!(
        seen.total() == 4,
        "{} calls for one that was tried again",
        seen.total()
    );
    let rest = listed(&dead_letters, 2, stage.patience()).await?;
    ensure!(
        bodies(&rest) == bodies(&left),
        "other dead letters are left than were there"
    );

    let ids = rest.iter().map(|(id, _)| id.clone()).collect();
    let to = Destination::Queue(other.made.queue.clone());
    send(&dead_letters, ids, &to).await?;
    let provider = other.provider().await?;
    let moved = other.receive(&provider, 2).await?;
    for delivery in &moved {
        let envelope = DeadLetter::of(&delivery.message);
        ensure!(
            envelope.is_some(),
            "a dead letter lost its envelope when it was moved"
        );
    }
    let moved = moved.iter().map(|delivery| body(&delivery.message));
    let mut moved: Vec<_> = moved.collect();
    moved.sort_unstable();
    ensure!(moved == bodies(&left), "{moved:?} were moved");
    // What was only hidden by its lease is there again where leases end with who had them.
    drop(dead_letters);
    let end = Instant::now() + stage.patience();
    loop {
        let left = queue.dead_letter_queue().await?.about().count;
        if left.is_none_or(|left| left == 0) {
            return Ok(());
        }
        ensure!(
            Instant::now() < end,
            "{left:?} dead letters are left of none"
        );
        sleep(PAUSE).await;
    }
}

/// Sends these and nothing else.
async fn send(dead_letters: &DeadLetters, ids: Vec<MessageId>, to: &Destination) -> Checked {
    let count = ids.len() as u64;
    let mut on = |_| ControlFlow::Continue(());
    let sent = dead_letters.send(&Selection::Ids(ids), to, &mut on).await?;
    ensure!(
        sent.sent == count && sent.failed.is_empty() && sent.missing.is_empty(),
        "of {count} dead letters were sent: {sent:?}"
    );
    Ok(())
}

/// Lists until there are so many, and no more: id and body of each.
async fn listed(
    dead_letters: &DeadLetters,
    count: usize,
    patience: Duration,
) -> Checked<Vec<(MessageId, String)>> {
    let end = Instant::now() + patience;
    loop {
        let listing = dead_letters
            .list(100, &mut |_| ControlFlow::Continue(()))
            .await?;
        let found = listing.dead_letters.iter().map(|found| &found.message);
        let found: Vec<_> = found
            .map(|message| (message.id().clone(), body(message)))
            .collect();
        if found.len() == count {
            return Ok(found);
        }
        ensure!(
            Instant::now() < end,
            "{} dead letters after {patience:?}, not {count}",
            found.len()
        );
        sleep(PAUSE).await;
    }
}

fn body(message: &Message) -> String {
    String::from_utf8_lossy(message.payload()).into_owned()
}

fn bodies(dead_letters: &[(MessageId, String)]) -> Vec<String> {
    let bodies = dead_letters.iter().map(|(_, body)| body.clone());
    let mut bodies: Vec<_> = bodies.collect();
    bodies.sort_unstable();
    bodies
}
