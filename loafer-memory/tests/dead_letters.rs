//! The dead letters of a queue in memory: copies and deletes, each for itself.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

use std::time::Duration;

use loafer_core::{
    broker::{Broker, DeadLetterQueue, Delivery, Destination, NoOptions, Source},
    message::Message,
};
use loafer_memory::Memory;

const LEASE: Duration = Duration::from_secs(30);

fn source() -> Source {
    Source::new("orders", "orders")
}

fn orders<'a>(memory: &'a Memory, source: &'a Source) -> impl DeadLetterQueue {
    memory.send("orders-dlq", ["1", "2", "3"].map(Message::new));
    Broker::dead_letters(memory, source, &NoOptions {}).unwrap()
}

async fn leased<Q: DeadLetterQueue>(queue: &Q) -> Vec<Delivery<Q::Receipt>> {
    let mut leased = Vec::new();
    queue.lease(10, &mut leased).await.unwrap();
    leased
}

fn bodies(messages: &[Message]) -> Vec<&[u8]> {
    messages
        .iter()
        .map(|message| &**message.payload())
        .collect()
}

#[tokio::test]
async fn an_open_queue_is_named_with_its_source() {
    let (memory, source) = (Memory::new(), source());
    let info = orders(&memory, &source).open().await.unwrap();
    assert_eq!((&*info.queue, &*info.source), ("orders-dlq", "orders"));
    assert_eq!(info.count, Some(3));
}

#[tokio::test]
async fn a_copy_leaves_the_dead_letter_where_it_is() {
    let (memory, source) = (Memory::new(), source());
    let queue = orders(&memory, &source);
    let dead_letters = leased(&queue).await;
    let packed: Vec<_> = dead_letters.iter().map(|one| queue.pack(one)).collect();
    for (to, named) in [
        (Destination::Source, "orders"),
        (Destination::Queue("parked".into()), "parked"),
    ] {
        let mut answers = Vec::new();
        queue.copy(&to, &packed[..2], &mut answers).await;
        assert!(answers.len() == 2 && answers.iter().all(Result::is_ok));
        assert_eq!(bodies(&memory.messages(named)), [b"1", b"2"]);
    }
    assert_eq!(memory.dead_letters("orders").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn each_delete_has_its_answer_and_a_lost_lease_deletes_nothing() {
    let (memory, source) = (Memory::new(), source());
    let queue = orders(&memory, &source);
    let stale = leased(&queue).await;
    tokio::time::advance(LEASE * 2).await;
    let fresh = leased(&queue).await;
    let leases = [&fresh[0], &stale[1], &fresh[2]].map(|lease| lease.receipt.clone());
    let mut answers = Vec::new();
    queue.delete(&leases, &mut answers).await;
    let [Ok(()), Err(error), Ok(())] = &answers[..] else {
        panic!("{answers:?}");
    };
    assert!(!error.is_transient() && error.to_string().contains("lease is over"));
    assert_eq!(memory.dead_letters("orders").len(), 1);
}
