//! The move of all dead letters by SQS itself, where a server has that.

use std::time::Duration;

use loafer_core::{
    broker::{DeadLetter, Destination},
    message::Message,
};
use loafer_runtime::dead_letters::Selection;

use super::{dead_letters, on, redrive, reject, support};
use crate::server;

/// fauxqs has no move task: there the dead letters are copied, and a note says so.
#[tokio::test]
async fn without_a_move_task_letters_are_copied() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "without_a_move_task_letters_are_copied"
    );
    let queue = server.queue("copied", Some(Duration::from_secs(30))).await;
    reject(&queue, vec![Message::new("x").into()]).await;
    let dead_letters = dead_letters(&server, &queue).await;
    let parked = Destination::Queue(queue.name.clone());
    let sent = dead_letters
        .send(&Selection::All, &parked, None, &mut on)
        .await
        .unwrap();
    assert_eq!(sent.sent, 1);
    assert!(sent.notes[0].contains("copied one by one"), "{sent:?}");
}

#[tokio::test]
async fn what_sqs_gave_up_it_brings_back_by_itself() {
    let server = server!(
        "LOAFER_TEST_ELASTICMQ",
        "what_sqs_gave_up_it_brings_back_by_itself"
    );
    let queue = server.queue("task", Some(Duration::from_secs(30))).await;
    redrive(&queue, 5).await;
    let dead_letters = dead_letters(&server, &queue).await;
    let sent = dead_letters
        .send(&Selection::All, &Destination::Source, None, &mut on)
        .await
        .unwrap();
    assert_eq!((sent.sent, sent.notes.len()), (5, 0), "{sent:?}");
    for delivery in queue.receive(5).await {
        let headers = delivery.message.headers();
        assert_eq!(headers.get(DeadLetter::RETRIED_FROM), None, "unchanged");
    }
}
