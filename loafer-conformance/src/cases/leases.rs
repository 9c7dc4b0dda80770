//! Leases: kept as long as they are wanted, over when nobody keeps them.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::{
    BrokerUnderTest, Feature,
    case::{Checked, ensure},
    ledger::Ledger,
    queue::done,
    stage::{LONG, SHORT, Stage, numbered},
};
use loafer_core::{
    broker::{Provider, Renewed, Settlement},
    message::Message,
};
use loafer_runtime::program::RouteOptions;

/// Of two messages on lease one is renewed: when the lease of both would be over, only the other is redelivered.
pub(super) async fn a_renewed_lease_is_kept<S: BrokerUnderTest>(stage: Stage<S>) -> Checked {
    let queue = stage.queue_with(|wanted| wanted.lease = SHORT).await?;
    let provider = queue.provider().await?;
    queue.publish(numbered(0..2)).await?;
    let both = queue.receive(&provider, 2).await?;
    let (kept, let_go) = (&both[0], &both[1]);
    let mut answers = Vec::new();
    let leases = [kept.receipt.clone()];
    provider.renew(&leases, LONG, &mut answers).await;
    ensure!(
        matches!(answers[..], [Renewed::Done]),
        "a renewal was answered with {answers:?}"
    );
    let again = queue.receive_one(&provider).await?;
    ensure!(
        again.message.payload() == let_go.message.payload(),
        "the message whose lease was renewed was redelivered"
    );
    queue.nothing_for(&provider, Duration::from_secs(2)).await?;
    done(&provider, [kept, &again], &Settlement::Ack).await
}

/// Handlers that take twice their lease, and messages that wait as long for a handler: each is handled once.
pub(super) async fn a_handler_may_outlast_its_lease<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    const MESSAGES: usize = 8;
    let queue = stage.queue_with(|wanted| wanted.lease = SHORT).await?;
    queue.publish(numbered(0..MESSAGES)).await?;
    let ledger = Ledger::new();
    let handler = {
        let ledger = ledger.clone();
        move |message: Message| {
            ledger.note(&message);
            async {
                sleep(2 * SHORT).await;
                true
            }
        }
    };
    let options = RouteOptions::new().concurrency(MESSAGES / 2);
    let program = queue.start(options, handler).await?;
    let all = |acked| acked == MESSAGES as u64;
    program.until("all acked", |stats| all(stats.acked)).await?;
    let stats = program.stats();
    program.stop().await?;
    ensure!(stats.lost == 0, "leases were lost: {stats:?}");
    ledger.once_each()
}

/// A consumer is gone without a word: what it had not acked comes to the next one, what it had acked does not.
pub(super) async fn what_a_crash_left_unacked_is_redelivered<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    const MESSAGES: usize = 5;
    let queue = stage.queue_with(|wanted| wanted.lease = SHORT).await?;
    queue.publish(numbered(0..MESSAGES)).await?;
    let mut unacked = {
        let provider = queue.provider().await?;
        let handled = queue.receive(&provider, MESSAGES).await?;
        done(&provider, &handled[..2], &Settlement::Ack).await?;
        let rest = handled[2..].iter();
        rest.map(|one| one.message.payload().clone())
            .collect::<Vec<_>>()
    };
    let provider = queue.provider().await?;
    let again = queue.receive(&provider, MESSAGES - 2).await?;
    let mut came: Vec<_> = again
        .iter()
        .map(|one| one.message.payload().clone())
        .collect();
    unacked.sort();
    came.sort();
    ensure!(
        came == unacked,
        "other messages were redelivered than were left unacked"
    );
    done(&provider, &again, &Settlement::Ack).await?;
    queue
        .nothing_for(&provider, SHORT + Duration::from_secs(1))
        .await
}

/// A released message does not wait for the end of its lease; whether that cost it an attempt is as the broker's capabilities say.
pub(super) async fn what_is_released_is_delivered_at_once<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    let queue = stage.queue().await?;
    let provider = queue.provider().await?;
    queue.publish([Message::new("1")]).await?;
    let first = queue.receive_one(&provider).await?;
    let released = Instant::now();
    done(&provider, [&first], &Settlement::Release).await?;
    let second = queue.receive_one(&provider).await?;
    let waited = released.elapsed();
    ensure!(waited < LONG / 2, "it came after {waited:?}");
    let costs = u32::from(provider.capabilities().release_costs_attempt);
    let attempt = second.message.attempt();
    ensure!(
        attempt == 1 + costs || !stage.can(Feature::Attempts),
        "it came as attempt {attempt}, and a release costs {costs}"
    );
    done(&provider, [&second], &Settlement::Ack).await
}
