//! Publishers that are closed in the middle, and messages with a delay.

use std::{
    slice,
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
    queue::{Queue, done, publish},
    stage::{Stage, all, numbered},
};
use loafer_core::{
    broker::{Broker, Level, Open, Publisher, Settlement},
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

/// What goes beyond a limit that the publisher tells is refused for good, and what keeps to all of them arrives.
pub(super) async fn what_a_publisher_says_it_can_is_true<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    let queue = stage.queue().await?;
    let publisher = stage.subject.broker().publisher();
    let says = publisher.capabilities(&queue.made.topic);
    ensure!(!says.ordered, "a queue without order is said to have one");
    if let Some(most) = says.max_bytes {
        let text = "x".repeat(most + 1);
        refused(&queue, "one byte too many", Message::new(text).into()).await?;
    }
    if let Some(longest) = says.max_delay {
        let late = Outgoing::from(Message::new("later")).delay(longest + Duration::from_secs(1));
        refused(&queue, "a delay that is too long", late).await?;
    }
    if let Some(most) = says.headers {
        let headers = (0..=most).map(|at| (format!("header-{at}"), "value"));
        let many = Message::new("{}").with_headers(headers.collect());
        refused(&queue, "a header too many", many.into()).await?;
    }
    let binary = || Message::new(&b"\xff\x00\xfe"[..]);
    if !says.binary {
        refused(&queue, "a payload that is not text", binary().into()).await?;
    }
    let batch = says.batch.clamp(1, 1_000);
    let mut batch = numbered(0..batch);
    batch.extend(says.binary.then(binary));
    let count = batch.len();
    queue.publish(batch).await?;
    let ledger = Ledger::new();
    let program = queue.start(Default::default(), ledger.acking()).await?;
    ledger.reaches(count, stage.patience()).await?;
    program.stop().await
}

/// Publishes one message, which must be refused for good.
async fn refused<S: BrokerUnderTest>(queue: &Queue<S>, what: &str, outgoing: Outgoing) -> Checked {
    for answer in queue.try_publish([outgoing]).await? {
        let error = answer.err();
        let lasting = error.as_ref().is_some_and(|error| !error.is_transient());
        ensure!(
            lasting,
            "the publisher says that it can't carry {what}, and answered {error:?}"
        );
    }
    Ok(())
}

/// A look finds that a queue is missing, and makes nothing. A check that may make it does, and then it can be published to.
pub(super) async fn a_check_finds_and_makes_what_is_published_to<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    let broker = stage.subject.broker();
    let (publisher, topic) = (broker.publisher(), broker.queue_topic(&stage.name()));
    let looks = [
        (Open::ReadOnly, false),
        (Open::ReadOnly, false),
        (Open::Create, true),
        (Open::ReadOnly, true),
    ];
    for (mode, is_there) in looks {
        let found = publisher.check(slice::from_ref(&topic), mode).await;
        // A broker may be unable to tell.
        let [found] = found.as_slice() else {
            ensure!(found.is_empty(), "{} findings about one topic", found.len());
            return Ok(());
        };
        ensure!(
            (found.level == Level::Good) == is_there,
            "{mode:?}, and it should {}be there: {}",
            if is_there { "" } else { "not " },
            found.text
        );
    }
    let mut answers = Vec::new();
    let message = Outgoing::from(Message::new("1"));
    publisher.publish(&topic, &[message], &mut answers).await;
    publisher.close().await;
    for answer in answers {
        answer?;
    }
    Ok(())
}
