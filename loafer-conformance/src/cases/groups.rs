//! Groups: in order where the broker keeps it, and never one in the way of another.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{sync::watch, time::sleep};

use crate::{
    BrokerUnderTest,
    case::{Checked, Fault, ensure},
    ledger::Ledger,
    queue::done,
    stage::Stage,
};
use loafer_core::{
    broker::Settlement,
    message::{Message, Outgoing},
    outcome::Outcome,
};
use loafer_runtime::program::RouteOptions;

const GROUPS: usize = 16;
const MANY: usize = 1_000;

fn of(group: impl std::fmt::Display, number: usize) -> Message {
    Message::new(number.to_string()).with_group(format!("g{group}"))
}

/// Messages that take turns among the groups.
fn in_turn(count: usize) -> impl Iterator<Item = Message> {
    (0..count).map(|number| of(number % GROUPS, number))
}

/// Each group was noted as it was sent.
fn in_order(ledger: &Ledger, count: usize) -> Checked {
    for group in 0..GROUPS {
        let sent: Vec<_> = (group..count)
            .step_by(GROUPS)
            .map(|number| number.to_string())
            .collect();
        let came = ledger.of_group(&format!("g{group}"));
        let at = sent.iter().zip(&came).position(|(sent, came)| sent != came);
        if let Some(at) = at {
            let (sent, came) = (&sent[at], &came[at]);
            ensure!(
                false,
                "group {group}: {came} was handled where {sent} was due"
            );
        }
        ensure!(
            came.len() == sent.len(),
            "group {group}: {} messages were handled of {}",
            came.len(),
            sent.len()
        );
    }
    Ok(())
}

/// While a message of a group is leased, the next one is not delivered. Other groups are.
pub(super) async fn the_next_of_a_group_waits_while_one_is_leased<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    let queue = stage.queue_with(|wanted| wanted.ordered = true).await?;
    let provider = queue.provider().await?;
    queue.publish([of("a", 1), of("a", 2), of("b", 3)]).await?;
    let first = queue.receive_one(&provider).await?;
    let other = queue.receive_one(&provider).await?;
    let group = |message: &Message| message.group().map(str::to_owned);
    ensure!(
        group(&first.message) != group(&other.message),
        "two messages of one group were delivered at once"
    );
    queue.nothing_for(&provider, Duration::from_secs(2)).await?;
    done(&provider, [&first, &other], &Settlement::Ack).await?;
    let last = queue.receive_one(&provider).await?;
    ensure!(
        last.message.payload() == "2",
        "the second message of the group came before the first"
    );
    done(&provider, [&last], &Settlement::Ack).await
}

/// A thousand messages of sixteen groups, thirty-two handlers: each group in order, and each message once.
pub(super) async fn groups_stay_in_order<S: BrokerUnderTest>(stage: Stage<S>) -> Checked {
    let queue = stage.queue_with(|wanted| wanted.ordered = true).await?;
    let (ledger, count) = (Ledger::new(), stage.count(MANY));
    queue.publish(in_turn(count)).await?;
    let handler = {
        let ledger = ledger.clone();
        move |message: Message| {
            let ledger = ledger.clone();
            async move {
                let takes = number(&message) * 5 % 7;
                sleep(Duration::from_millis(takes as u64)).await;
                ledger.note(&message);
                true
            }
        }
    };
    let options = RouteOptions::new().concurrency(2 * GROUPS);
    let program = queue.start(options, handler).await?;
    ledger.reaches(count, stage.patience()).await?;
    program.stop().await?;
    ledger.once_each()?;
    in_order(&ledger, count)
}

/// Every tenth message fails twice: still each group succeeds in order, and none of it runs beside another one.
pub(super) async fn groups_stay_in_order_through_failures<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    let queue = stage.queue_with(|wanted| wanted.ordered = true).await?;
    let (seen, acked, count) = (Ledger::new(), Ledger::new(), stage.count(MANY));
    queue.publish(in_turn(count)).await?;
    let busy: Arc<[AtomicBool; GROUPS]> = Arc::default();
    let together = Arc::new(AtomicBool::new(false));
    let handler = {
        let (seen, acked) = (seen.clone(), acked.clone());
        let (busy, together) = (busy.clone(), together.clone());
        move |message: Message| {
            let (seen, acked) = (seen.clone(), acked.clone());
            let (busy, together) = (busy.clone(), together.clone());
            async move {
                let number = number(&message);
                let group = &busy[number % GROUPS];
                if group.swap(true, Ordering::SeqCst) {
                    together.store(true, Ordering::SeqCst);
                }
                sleep(Duration::from_millis(1)).await;
                group.store(false, Ordering::SeqCst);
                if seen.note(&message) <= 2 && number % 10 == 3 {
                    return Outcome::Retry {
                        after: Duration::ZERO,
                    };
                }
                acked.note(&message);
                Outcome::Ack
            }
        }
    };
    let options = RouteOptions::new().concurrency(2 * GROUPS);
    let program = queue.start(options, handler).await?;
    acked.reaches(count, stage.patience()).await?;
    program.stop().await?;
    acked.once_each()?;
    ensure!(
        !together.load(Ordering::SeqCst),
        "two messages of one group ran at once"
    );
    in_order(&acked, count)
}

fn number(message: &Message) -> usize {
    let body = std::str::from_utf8(message.payload());
    body.ok()
        .and_then(|body| body.parse().ok())
        .unwrap_or_default()
}

/// A group whose first message takes its time: all others are through before it is over.
pub(super) async fn a_slow_group_holds_up_no_other<S: BrokerUnderTest>(stage: Stage<S>) -> Checked {
    let queue = stage.queue_with(|wanted| wanted.ordered = true).await?;
    let (ledger, each) = (Ledger::new(), stage.count(100) / 5);
    let gate = watch::Sender::new(false);
    let handler = {
        let (ledger, gate) = (ledger.clone(), gate.clone());
        move |message: Message| {
            let (ledger, mut gate) = (ledger.clone(), gate.subscribe());
            async move {
                if message.group() == Some("gslow") {
                    _ = gate.wait_for(|open| *open).await;
                }
                ledger.note(&message);
                true
            }
        }
    };
    let slow = (0..each).map(|number| of("slow", number));
    queue.publish(slow).await?;
    let quick = each..5 * each;
    queue
        .publish(quick.clone().map(|number| of(number % 4, number)))
        .await?;
    let options = RouteOptions::new().concurrency(4);
    let program = queue.start(options, handler).await?;
    ledger.reaches(quick.len(), stage.patience()).await?;
    let early = ledger.of_group("gslow").len();
    ensure!(early == 0, "the test's own gate did not hold");
    gate.send_replace(true);
    ledger.reaches(5 * each, stage.patience()).await?;
    program.stop().await?;
    let slow = ledger.of_group("gslow");
    let sent: Vec<_> = (0..each).map(|number| number.to_string()).collect();
    ensure!(slow == sent, "the slow group was handled as {slow:?}");
    Ok(())
}

/// Of messages sent with one deduplication id, one arrives; ids apart, bodies do not matter.
pub(super) async fn a_duplicate_with_the_same_deduplication_id_is_dropped<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    let queue = stage.queue_with(|wanted| wanted.ordered = true).await?;
    let provider = queue.provider().await?;
    let sent = |number: usize, id: &str| Outgoing::from(of("a", number)).deduplication_id(id);
    queue.publish([sent(1, "first")]).await?;
    queue.publish([sent(2, "first"), sent(3, "second")]).await?;
    let mut bodies = Vec::new();
    for _ in 0..2 {
        let one = queue.receive_one(&provider).await?;
        bodies.push(one.message.payload().clone());
        done(&provider, [&one], &Settlement::Ack).await?;
    }
    ensure!(
        bodies == ["1", "3"],
        "of three messages, the second with the id of the first, {bodies:?} arrived"
    );
    queue.nothing_for(&provider, Duration::from_secs(2)).await
}

/// A group says who a message belongs to, and orders nothing: its messages may run at once.
pub(super) async fn a_group_is_carried_where_there_is_no_order<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    let queue = stage.queue().await?;
    let provider = queue.provider().await?;
    queue.publish([of("a", 1), of("a", 2)]).await?;
    let both = queue.receive(&provider, 2).await?;
    for delivery in &both {
        let group = delivery.message.group();
        if group != Some("ga") {
            return Err(Fault::new(format_args!(
                "a message of group `ga` came in {group:?}"
            )));
        }
    }
    done(&provider, &both, &Settlement::Ack).await
}
