//! Publishers that are closed in the middle, and messages with a delay.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    BrokerUnderTest,
    case::{Checked, ensure},
    ledger::Ledger,
    queue::{done, publish},
    stage::{Stage, all, numbered},
};
use loafer_core::{
    broker::{Broker, Publisher, Settlement},
    message::{Message, Outgoing},
};

/// Twenty tasks publish when their publisher is closed. What it confirmed, before and after, arrives.
pub(super) async fn what_a_closed_publisher_confirmed_arrives<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    const TASKS: usize = 20;
    const BATCH: usize = 10;
    let (queue, count) = (stage.queue().await?, stage.count(10_000));
    let publisher = stage.subject.broker().publisher();
    let (sent, confirmed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let task = async |task: usize| -> Checked {
        let own: Vec<_> = (task..count).step_by(TASKS).collect();
        for numbers in own.chunks(BATCH) {
            let messages = numbered(numbers.iter().copied());
            let answers = publish(&publisher, &queue.made, messages).await?;
            let answered = numbers.iter().zip(answers);
            let well = answered.filter(|(_, answer)| answer.is_ok());
            confirmed
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend(well.map(|(number, _)| *number));
            let before = sent.fetch_add(numbers.len(), Ordering::SeqCst);
            if (before..before + numbers.len()).contains(&(count / 2)) {
                publisher.close().await;
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    };
    all((0..TASKS).map(task)).await?;

    let confirmed = confirmed
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    ensure!(
        confirmed.len() >= count / 2,
        "{} of {count} messages were confirmed, though half were sent before the publisher closed",
        confirmed.len()
    );
    let ledger = Ledger::new();
    let program = queue.start(Default::default(), ledger.acking()).await?;
    ledger.reaches(confirmed.len(), stage.patience()).await?;
    program.stop().await?;
    let lost = confirmed
        .iter()
        .find(|number| !ledger.has(&number.to_string()));
    ensure!(lost.is_none(), "message {lost:?} was confirmed and is lost");
    Ok(())
}

/// A message published with a delay is not to be had before.
pub(super) async fn a_delayed_message_waits<S: BrokerUnderTest>(stage: Stage<S>) -> Checked {
    const DELAY: Duration = Duration::from_secs(2);
    let queue = stage.queue().await?;
    let provider = queue.provider().await?;
    let published = Instant::now();
    let delayed = Outgoing::from(Message::new("later")).delay(DELAY);
    queue.publish([delayed, Message::new("now").into()]).await?;
    let first = queue.receive_one(&provider).await?;
    ensure!(
        first.message.payload() == "now",
        "the delayed message came first, after {:?}",
        published.elapsed()
    );
    let second = queue.receive_one(&provider).await?;
    let waited = published.elapsed();
    ensure!(
        waited >= DELAY,
        "a message delayed by {DELAY:?} came after {waited:?}"
    );
    done(&provider, [&first, &second], &Settlement::Ack).await
}
