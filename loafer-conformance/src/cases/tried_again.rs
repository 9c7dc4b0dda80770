//! Dead letters that are sent away: a copy arrives, and only then the dead letter is deleted.

use std::{ops::ControlFlow, time::Duration};

use tokio::time::{Instant, sleep};

use crate::{
    BrokerUnderTest,
    case::{Checked, ensure},
    ledger::Ledger,
    stage::{Stage, is_itself, numbered},
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

    let again = left.swap_remove(1).id().clone();
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

    let ids = rest.iter().map(|message| message.id().clone()).collect();
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

/// Messages with as many headers as allowed, the event's id among them, are rejected and tried again: dead letters, their envelopes and the next
/// tries have their ids.
pub(super) async fn an_event_id_survives_dead_letters_and_tries_again<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    const MESSAGES: usize = 3;
    let queue = stage.queue().await?;
    queue
        .publish((0..MESSAGES).map(|at| stage.event(at)))
        .await?;
    let (seen, nameless) = (Ledger::new(), Ledger::new());
    let handler = {
        let (seen, nameless) = (seen.clone(), nameless.clone());
        move |message: Message| {
            if !is_itself(&message) {
                nameless.note(&message);
            }
            let reject = seen.note(&message) == 1;
            async move {
                match reject {
                    true => Outcome::Reject {
                        reason: "not yet".into(),
                    },
                    false => Outcome::Ack,
                }
            }
        }
    };
    let program = queue.start(RouteOptions::new(), handler).await?;
    seen.reaches(MESSAGES, stage.patience()).await?;
    let dead_letters = queue.dead_letter_queue().await?;
    let listed = listed(&dead_letters, MESSAGES, stage.patience()).await?;
    for message in &listed {
        let of_envelope = DeadLetter::of(message).map(|envelope| envelope.event_id);
        ensure!(
            is_itself(message) && of_envelope.as_deref() == message.event_id(),
            "dead letter {} has the event id {:?}, and its envelope {of_envelope:?}",
            body(message),
            message.event_id()
        );
    }
    let ids = listed.iter().map(|message| message.id().clone()).collect();
    send(&dead_letters, ids, &Destination::Source).await?;
    let all = MESSAGES as u64;
    program
        .until("all acked", |stats| stats.acked == all)
        .await?;
    program.stop().await?;
    let lost = nameless.total();
    ensure!(
        lost == 0,
        "{lost} of {} deliveries had another event id, or none",
        seen.total()
    );
    Ok(())
}

/// Sends these and nothing else.
pub(super) async fn send(
    dead_letters: &DeadLetters,
    ids: Vec<MessageId>,
    to: &Destination,
) -> Checked {
    let count = ids.len() as u64;
    let mut on = |_| ControlFlow::Continue(());
    let sent = dead_letters
        .send(&Selection::Ids(ids), to, None, &mut on)
        .await?;
    ensure!(
        sent.sent == count && sent.failed.is_empty() && sent.missing.is_empty(),
        "of {count} dead letters were sent: {sent:?}"
    );
    Ok(())
}

/// Lists until there are so many, and no more.
pub(super) async fn listed(
    dead_letters: &DeadLetters,
    count: usize,
    patience: Duration,
) -> Checked<Vec<Message>> {
    let end = Instant::now() + patience;
    loop {
        let listing = dead_letters
            .list(100, &mut |_| ControlFlow::Continue(()))
            .await?;
        let found = listing.dead_letters.into_iter();
        let found: Vec<_> = found.map(|found| found.message).collect();
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

fn bodies(messages: &[Message]) -> Vec<String> {
    let mut bodies: Vec<_> = messages.iter().map(body).collect();
    bodies.sort_unstable();
    bodies
}
