//! What is not acked is redelivered: every time, when it should be, and counted.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    BrokerUnderTest,
    case::{Checked, ensure},
    ledger::Ledger,
    queue::done,
    stage::{LONG, SHORT, Stage, is_itself, numbered},
};
use loafer_core::{broker::Settlement, message::Message, outcome::Outcome};

const AT_ONCE: Duration = Duration::ZERO;

/// Two messages of a hundred are declined once: all are handled in the end, those two twice.
pub(super) async fn what_is_declined_is_redelivered<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    const MESSAGES: usize = 100;
    const DECLINED: [&str; 2] = ["0", "1"];
    let queue = stage.queue_with(|wanted| wanted.lease = SHORT).await?;
    queue.publish(numbered(0..MESSAGES)).await?;
    let (seen, acked) = (Ledger::new(), Ledger::new());
    let handler = {
        let (seen, acked) = (seen.clone(), acked.clone());
        move |message| {
            let first = seen.note(&message) == 1;
            let decline = first && DECLINED.iter().any(|body| message.payload() == body);
            if !decline {
                acked.note(&message);
            }
            async move { !decline }
        }
    };
    let program = queue.start(Default::default(), handler).await?;
    acked.reaches(MESSAGES, stage.patience()).await?;
    program.stop().await?;
    acked.once_each()?;
    let calls = seen.total();
    ensure!(
        calls == MESSAGES + DECLINED.len(),
        "{calls} calls for {MESSAGES} messages of which {} were declined once",
        DECLINED.len()
    );
    Ok(())
}

/// A hundred messages fail three times each, in all ways at once; then all are handled.
pub(super) async fn failures_leave_the_queue_usable<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    const FAILURES: usize = 3;
    let (queue, count) = (stage.queue().await?, stage.count(100));
    queue.publish(numbered(0..count)).await?;
    let (seen, acked) = (Ledger::new(), Ledger::new());
    let handler = {
        let (seen, acked) = (seen.clone(), acked.clone());
        move |message| {
            let times = seen.note(&message);
            if times > FAILURES {
                acked.note(&message);
            }
            async move {
                match times {
                    ..=FAILURES => Outcome::Retry { after: AT_ONCE },
                    _ => Outcome::Ack,
                }
            }
        }
    };
    let program = queue.start(Default::default(), handler).await?;
    acked.reaches(count, stage.patience()).await?;
    program.stop().await?;
    acked.once_each()?;
    let calls = seen.total();
    ensure!(
        calls == count * (FAILURES + 1),
        "{calls} calls for {count} messages that failed {FAILURES} times each"
    );
    Ok(())
}

/// Messages that ask for different delays: none comes before its own is over, and none waits for its lease.
pub(super) async fn a_retry_waits_its_delay<S: BrokerUnderTest>(stage: Stage<S>) -> Checked {
    const MESSAGES: usize = 3;
    let queue = stage.queue().await?;
    queue.publish(numbered(0..MESSAGES)).await?;
    let (seen, again) = (Ledger::new(), Ledger::new());
    let delay = |body: &[u8]| Duration::from_secs(1 + u64::from(body[0] - b'0'));
    let handler = {
        let (seen, again) = (seen.clone(), again.clone());
        move |message: Message| {
            let retry = seen.note(&message) == 1;
            if !retry {
                again.note(&message);
            }
            let after = delay(message.payload());
            async move {
                match retry {
                    true => Outcome::Retry { after },
                    false => Outcome::Ack,
                }
            }
        }
    };
    let program = queue.start(Default::default(), handler).await?;
    again.reaches(MESSAGES, stage.patience()).await?;
    program.stop().await?;
    for second in again.entries() {
        let first = seen.entries();
        let first = first.iter().find(|first| first.body == second.body);
        let waited = first.map_or(Duration::ZERO, |first| second.at - first.at);
        let asked = delay(second.body.as_bytes());
        ensure!(
            waited >= asked && waited < LONG,
            "a retry after {asked:?} came after {waited:?}"
        );
    }
    Ok(())
}

/// A retry without a delay leaves the lease to its end.
pub(super) async fn a_retry_without_a_delay_waits_for_the_end_of_its_lease<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    let queue = stage.queue_with(|wanted| wanted.lease = SHORT).await?;
    let provider = queue.provider().await?;
    queue.publish(numbered([1])).await?;
    let before = Instant::now();
    let first = queue.receive_one(&provider).await?;
    done(&provider, [&first], &Settlement::Retry { after: None }).await?;
    let second = queue.receive_one(&provider).await?;
    let waited = before.elapsed();
    ensure!(
        waited >= SHORT,
        "it was redelivered after {waited:?}, and its lease was of {SHORT:?}"
    );
    done(&provider, [&second], &Settlement::Ack).await
}

/// The first delivery is attempt 1, each further one counts one more.
pub(super) async fn attempts_are_counted<S: BrokerUnderTest>(stage: Stage<S>) -> Checked {
    let queue = stage.queue().await?;
    let provider = queue.provider().await?;
    queue.publish(numbered([1])).await?;
    let again = Settlement::Retry {
        after: Some(AT_ONCE),
    };
    for expected in 1..=4 {
        let delivery = queue.receive_one(&provider).await?;
        let attempt = delivery.message.attempt();
        ensure!(
            attempt == expected,
            "delivery {expected} came as attempt {attempt}"
        );
        done(&provider, [&delivery], &again).await?;
    }
    Ok(())
}

/// Messages with as many headers as allowed, the event's id among them, are retried at once, then after a delay: each delivery has its id.
pub(super) async fn an_event_id_survives_retries<S: BrokerUnderTest>(stage: Stage<S>) -> Checked {
    const MESSAGES: usize = 3;
    let queue = stage.queue().await?;
    queue
        .publish((0..MESSAGES).map(|at| stage.event(at)))
        .await?;
    let (seen, acked, nameless) = (Ledger::new(), Ledger::new(), Ledger::new());
    let handler = {
        let (seen, acked, nameless) = (seen.clone(), acked.clone(), nameless.clone());
        move |message: Message| {
            if !is_itself(&message) {
                nameless.note(&message);
            }
            let times = seen.note(&message);
            if times == 3 {
                acked.note(&message);
            }
            async move {
                match times {
                    1 => Outcome::Retry { after: AT_ONCE },
                    2 => Outcome::Retry {
                        after: Duration::from_secs(1),
                    },
                    _ => Outcome::Ack,
                }
            }
        }
    };
    let program = queue.start(Default::default(), handler).await?;
    acked.reaches(MESSAGES, stage.patience()).await?;
    program.stop().await?;
    let lost = nameless.total();
    ensure!(
        lost == 0,
        "{lost} of {} deliveries had another event id, or none",
        seen.total()
    );
    Ok(())
}
