//! What counts: attempts are what failed, deliveries are all; and what may end its process is handed over alone.

use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep};

use crate::{
    BrokerUnderTest, Feature,
    case::{Checked, Fault, ensure},
    queue::{ProviderOf, Queue, done},
    stage::{SHORT, Stage},
};
use loafer_core::{
    broker::{DeadLetter, Isolated, Provider, Settlement},
    message::Message,
    policy::Backoff,
};
use loafer_runtime::program::RouteOptions;

/// How long a failed message waits.
const SOON: Duration = Duration::from_secs(1);
/// How much the broker's clock, or what it writes of a time, may differ from ours.
const ROUNDED: Duration = Duration::from_secs(2);

const FAILED: Settlement = Settlement::Retry { after: Some(SOON) };

/// A release and a lost consumer cost no attempt, and a failure costs one.
pub(super) async fn only_a_failure_costs_an_attempt<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    let queue = stage.queue_with(|wanted| wanted.lease = SHORT).await?;
    queue.publish([Message::new("1")]).await?;
    {
        let provider = queue.provider().await?;
        let first = queue.receive_one(&provider).await?;
        done(&provider, [&first], &Settlement::Release).await?;
        let second = queue.receive_one(&provider).await?;
        let attempt = second.message.attempt();
        ensure!(attempt == 1, "a release made it attempt {attempt}");
    }
    let provider = queue.provider().await?;
    let third = queue.receive_one(&provider).await?;
    let attempt = third.message.attempt();
    ensure!(attempt == 1, "a lost consumer made it attempt {attempt}");
    done(&provider, [&third], &FAILED).await?;
    let fourth = queue.receive_one(&provider).await?;
    let attempt = fourth.message.attempt();
    ensure!(attempt == 2, "one failure made it attempt {attempt}");
    done(&provider, [&fourth], &Settlement::Ack).await
}

/// A message says how often it was delivered, whatever became of those deliveries.
pub(super) async fn deliveries_are_counted<S: BrokerUnderTest>(stage: Stage<S>) -> Checked {
    let queue = stage.queue_with(|wanted| wanted.lease = SHORT).await?;
    queue.publish([Message::new("1")]).await?;
    {
        let provider = queue.provider().await?;
        let deliveries = queue.receive_one(&provider).await?.message.deliveries();
        ensure!(deliveries == 1, "the first came as delivery {deliveries}");
    }
    let provider = queue.provider().await?;
    let second = queue.receive_one(&provider).await?;
    let deliveries = second.message.deliveries();
    ensure!(deliveries >= 2, "the second came as delivery {deliveries}");
    done(&provider, [&second], &FAILED).await?;
    let third = queue.receive_one(&provider).await?;
    // A copy begins anew, and each attempt before it counts as one delivery.
    let least = match provider.capabilities().retries_are_copies {
        true => third.message.attempt(),
        false => 3,
    };
    let deliveries = third.message.deliveries();
    ensure!(
        deliveries >= least,
        "the third came as delivery {deliveries}"
    );
    done(&provider, [&third], &Settlement::Ack).await
}

/// A message that failed says when it failed first, and so does its dead letter.
pub(super) async fn a_first_failure_is_remembered<S: BrokerUnderTest>(stage: Stage<S>) -> Checked {
    let queue = stage.queue().await?;
    queue.publish([Message::new("1")]).await?;
    let provider = queue.provider().await?;
    let before = SystemTime::now() - ROUNDED;
    let mut known = None;
    for attempt in 1..=3 {
        let delivery = queue.receive_one(&provider).await?;
        let first = delivery.message.first_failed_at();
        let within = first.is_some_and(|at| before <= at && at <= SystemTime::now() + ROUNDED);
        ensure!(
            within == (attempt > 1) && (attempt < 3 || first == known),
            "attempt {attempt} says that it failed first at {first:?}, after {known:?}"
        );
        known = first;
        let end = if attempt < 3 {
            &FAILED
        } else {
            &Settlement::Ack
        };
        done(&provider, [&delivery], end).await?;
    }
    drop(provider);

    queue.publish([Message::new("2")]).await?;
    let backoff = Backoff::new(SOON).with_jitter(false);
    let options = RouteOptions::new().backoff(backoff).max_attempts(2);
    let handler = async |_: Message| Err::<bool, _>("no");
    let program = queue.start(options, handler).await?;
    let dead_letters = queue.dead_letters(1).await?;
    program.stop().await?;
    let envelope = DeadLetter::of(&dead_letters[0]);
    let envelope = envelope.ok_or_else(|| Fault::new("a dead letter has no envelope"))?;
    // Both are in UTC, and so in the order of their texts.
    let first = envelope.first_failed_at.as_ref();
    ensure!(
        first.is_some_and(|first| *first < envelope.failed_at),
        "its envelope says {envelope:?}"
    );
    Ok(())
}

/// Takes the isolated message, as soon as it is there.
async fn alone<S: BrokerUnderTest>(
    stage: &Stage<S>,
    provider: &ProviderOf<S>,
) -> Checked<Isolated<<ProviderOf<S> as Provider>::Receipt>> {
    let end = Instant::now() + stage.patience();
    loop {
        if let Some(isolated) = provider.receive_isolated().await? {
            return Ok(isolated);
        }
        ensure!(Instant::now() < end, "no isolated message came");
        sleep(Duration::from_millis(50)).await;
    }
}

/// The next isolated message is this one, and is not said to be crashed unless it `may` be.
async fn alone_is<S: BrokerUnderTest>(
    stage: &Stage<S>,
    provider: &ProviderOf<S>,
    may: bool,
    when: &str,
) -> Checked<Isolated<<ProviderOf<S> as Provider>::Receipt>> {
    let isolated = alone(stage, provider).await?;
    let (attempt, body) = (
        isolated.delivery.message.attempt(),
        isolated.delivery.message.payload(),
    );
    ensure!(
        (may || !isolated.crashed) && attempt == 1 && body == "1",
        "{when} it came as attempt {attempt}, crashed: {}",
        isolated.crashed
    );
    Ok(isolated)
}

/// How often an isolated message may be lost before it must count as crashed.
const LOSSES: u32 = 5;

/// An isolated message comes alone only. It counts as crashed if it was lost there, once or a few times, and not if it was released.
pub(super) async fn an_isolated_message_comes_alone<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    let queue: Queue<S> = stage.queue_with(|wanted| wanted.lease = SHORT).await?;
    {
        let provider = queue.provider().await?;
        ensure!(
            provider.capabilities().isolates,
            "its capabilities say that it isolates nothing"
        );
        let none = provider.receive_isolated().await?.is_none();
        ensure!(none, "a message came alone that was not isolated");
        queue.publish([Message::new("1")]).await?;
        let suspect = queue.receive_one(&provider).await?;
        done(&provider, [&suspect], &Settlement::Isolate).await?;
        queue.nothing_for(&provider, 2 * SHORT).await?;
        let first = alone_is(&stage, &provider, false, "at first").await?;
        done(&provider, [&first.delivery], &Settlement::Release).await?;
        queue.nothing_for(&provider, SOON).await?;
        alone_is(&stage, &provider, false, "after a release").await?;
    }
    for _ in 0..LOSSES {
        let provider = queue.provider().await?;
        if stage.can(Feature::Leases) {
            sleep(2 * SHORT).await;
        }
        let lost = alone_is(&stage, &provider, true, "after it was lost").await?;
        if !lost.crashed {
            continue;
        }
        done(&provider, [&lost.delivery], &Settlement::Ack).await?;
        let none = provider.receive_isolated().await?.is_none();
        ensure!(none, "it came again after its ack");
        return queue.nothing_for(&provider, 2 * SHORT).await;
    }
    Err(Fault(format!(
        "it did not count as crashed after {LOSSES} losses"
    )))
}
