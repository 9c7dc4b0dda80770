//! What a message counts: attempts, deliveries, the first failure; and messages that are handed over alone.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

use std::time::{Duration, Instant, SystemTime};

use loafer_core::{
    broker::{
        Broker, Delivery, DueTime, Isolated, NoOptions, Provider, Settle, Settled, Settlement,
        Source,
    },
    message::Message,
};
use loafer_memory::{Memory, MemoryProvider, MemoryReceipt};
use tokio::time::advance;

const LEASE: Duration = Duration::from_secs(30);

fn provider(memory: &Memory, queue: &str) -> MemoryProvider {
    Broker::provider(memory, &Source::new("orders", queue), &NoOptions {}).unwrap()
}

fn patient() -> Memory {
    Memory::new().with_max_receives(None)
}

async fn receive(provider: &MemoryProvider) -> Option<Delivery<MemoryReceipt>> {
    let mut one = Vec::new();
    provider.receive(1, Duration::ZERO, &mut one).await.unwrap();
    one.pop()
}

async fn alone(provider: &MemoryProvider) -> Option<Isolated<MemoryReceipt>> {
    provider.receive_isolated().await.unwrap()
}

async fn settle(
    provider: &MemoryProvider,
    delivery: &Delivery<MemoryReceipt>,
    settlement: Settlement,
) -> Settled {
    let entry = Settle {
        receipt: delivery.receipt,
        message: delivery.message.clone(),
        settlement,
    };
    let mut answers = Vec::new();
    provider.settle(&[entry], &mut answers).await;
    answers.pop().unwrap()
}

async fn done(
    provider: &MemoryProvider,
    delivery: &Delivery<MemoryReceipt>,
    settlement: Settlement,
) {
    let answer = settle(provider, delivery, settlement).await;
    assert!(matches!(answer, Settled::Done), "{answer:?}");
}

fn counts(message: &Message) -> (u32, u32) {
    (message.attempt(), message.deliveries())
}

fn defer() -> Settlement {
    let until = DueTime::after(Duration::from_secs(1), Instant::now());
    Settlement::Defer { until }
}

#[tokio::test(start_paused = true)]
async fn only_a_retry_raises_the_attempt() {
    const SOON: Duration = Duration::from_secs(1);
    let memory = patient();
    let provider = provider(&memory, "orders");
    memory.send("orders", [Message::new("1")]);
    let mut counted = Vec::new();
    let ends = [
        Some(Settlement::Release),
        Some(defer()),
        None,
        Some(Settlement::Retry { after: Some(SOON) }),
        Some(Settlement::Release),
        Some(Settlement::Retry { after: None }),
        None,
    ];
    for end in ends {
        let delivery = receive(&provider).await.unwrap();
        counted.push(counts(&delivery.message));
        match end {
            Some(end) => done(&provider, &delivery, end).await,
            None => _ = memory.expire("orders"),
        }
        advance(LEASE * 2).await;
    }
    let last = receive(&provider).await.unwrap();
    counted.push(counts(&last.message));
    let expected = [
        (1, 1),
        (1, 2),
        (1, 3),
        (1, 4),
        (2, 5),
        (2, 6),
        (3, 7),
        (3, 8),
    ];
    assert_eq!(counted, expected);
}

#[tokio::test(start_paused = true)]
async fn the_first_failure_is_remembered() {
    let memory = patient();
    let provider = provider(&memory, "orders");
    memory.send("orders", [Message::new("1")]);
    let (mut first, before) = (None, SystemTime::now());
    for end in [None, Some(LEASE), Some(LEASE)] {
        let delivery = receive(&provider).await.unwrap();
        assert_eq!(delivery.message.first_failed_at(), first);
        done(&provider, &delivery, Settlement::Retry { after: end }).await;
        advance(LEASE * 2).await;
        let again = receive(&provider).await.unwrap();
        let at = again.message.first_failed_at().unwrap();
        assert!(before <= at && at <= SystemTime::now());
        assert!(first.is_none_or(|first| first == at));
        first = Some(at);
        done(&provider, &again, Settlement::Release).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_on_counts_from_the_start() {
    let memory = patient();
    let provider = provider(&memory, "orders");
    memory.send("orders", [Message::new("1")]);
    for after in [None, Some(LEASE)] {
        let delivery = receive(&provider).await.unwrap();
        done(&provider, &delivery, Settlement::Retry { after }).await;
        advance(LEASE * 2).await;
    }
    let old = receive(&provider).await.unwrap();
    done(&provider, &old, Settlement::Ack).await;
    memory.send("orders", [old.message]);
    let new = receive(&provider).await.unwrap();
    assert_eq!(counts(&new.message), (1, 1));
    assert_eq!(new.message.first_failed_at(), None);
}

#[tokio::test(start_paused = true)]
async fn what_was_given_back_untried_is_never_worn_out() {
    let memory = Memory::new().with_max_receives(Some(2));
    let provider = provider(&memory, "orders");
    memory.send("orders", [Message::new("1")]);
    for deliveries in 1..=5 {
        let delivery = receive(&provider).await.unwrap();
        assert_eq!(counts(&delivery.message), (1, deliveries));
        done(&provider, &delivery, Settlement::Release).await;
    }
    // Lost leases count, whether they failed or not.
    for _ in 0..2 {
        assert!(receive(&provider).await.is_some());
        memory.expire("orders");
    }
    assert!(receive(&provider).await.is_none());
    assert_eq!(memory.dead_letters("orders").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_isolated_message_comes_alone_only() {
    let memory = patient();
    let provider = provider(&memory, "orders");
    assert!(alone(&provider).await.is_none());
    memory.send("orders", [Message::new("1"), Message::new("2")]);
    let suspect = receive(&provider).await.unwrap();
    done(&provider, &suspect, Settlement::Isolate).await;
    let other = receive(&provider).await.unwrap();
    assert_eq!(other.message.payload(), "2");
    done(&provider, &other, Settlement::Ack).await;
    assert!(receive(&provider).await.is_none());
    assert!(!memory.is_settled());

    let first = alone(&provider).await.unwrap();
    assert_eq!(
        (first.crashed, counts(&first.delivery.message)),
        (false, (1, 2))
    );
    assert!(alone(&provider).await.is_none());
    done(&provider, &first.delivery, Settlement::Release).await;
    let second = alone(&provider).await.unwrap();
    assert_eq!(
        (second.crashed, counts(&second.delivery.message)),
        (false, (1, 3))
    );
    advance(LEASE * 2).await;
    let third = alone(&provider).await.unwrap();
    assert_eq!(
        (third.crashed, counts(&third.delivery.message)),
        (true, (1, 4))
    );
    let late = settle(&provider, &second.delivery, Settlement::Ack).await;
    assert!(matches!(late, Settled::Lost));
    done(&provider, &third.delivery, Settlement::Isolate).await;
    let fourth = alone(&provider).await.unwrap();
    assert!(!fourth.crashed, "its last delivery was settled");
    assert_eq!(memory.expire("orders"), 1);
    let fifth = alone(&provider).await.unwrap();
    assert!(fifth.crashed);
    done(&provider, &fifth.delivery, Settlement::Ack).await;
    assert!(memory.is_settled() && memory.messages("orders").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_retry_of_an_isolated_message_goes_to_the_queue() {
    let memory = patient();
    let provider = provider(&memory, "orders");
    for after in [None, Some(Duration::ZERO), Some(LEASE)] {
        memory.send("orders", [Message::new("1")]);
        let suspect = receive(&provider).await.unwrap();
        done(&provider, &suspect, Settlement::Isolate).await;
        let isolated = alone(&provider).await.unwrap().delivery;
        done(&provider, &isolated, Settlement::Retry { after }).await;
        advance(LEASE * 2).await;
        assert!(alone(&provider).await.is_none());
        let again = receive(&provider).await.unwrap();
        assert_eq!(counts(&again.message), (2, 3));
        assert!(again.message.first_failed_at().is_some());
        done(&provider, &again, Settlement::Ack).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_lease_of_an_isolated_message_is_renewed() {
    let memory = patient();
    let provider = provider(&memory, "orders");
    memory.send("orders", [Message::new("1")]);
    let suspect = receive(&provider).await.unwrap();
    done(&provider, &suspect, Settlement::Isolate).await;
    let isolated = alone(&provider).await.unwrap().delivery;
    for _ in 0..3 {
        advance(LEASE * 2 / 3).await;
        let mut answers = Vec::new();
        let receipts = [isolated.receipt];
        provider.renew(&receipts, LEASE, &mut answers).await;
        assert!(alone(&provider).await.is_none());
    }
    done(&provider, &isolated, Settlement::Ack).await;
}

#[tokio::test(start_paused = true)]
async fn the_group_of_an_isolated_message_waits() {
    let memory = patient();
    let provider = provider(&memory, "orders.fifo");
    let of_group = |body: &'static str| Message::new(body).with_group("a");
    memory.send("orders.fifo", [of_group("1"), of_group("2")]);
    let head = receive(&provider).await.unwrap();
    done(&provider, &head, Settlement::Isolate).await;
    assert!(receive(&provider).await.is_none());
    let head = alone(&provider).await.unwrap().delivery;
    assert!(receive(&provider).await.is_none());
    done(&provider, &head, Settlement::Ack).await;
    assert_eq!(receive(&provider).await.unwrap().message.payload(), "2");
}
