//! Batches of which a part fails, or wants something else.

use std::{collections::HashSet, sync::Arc, time::Duration};

use crate::{
    BrokerUnderTest,
    case::{Checked, Fault, ensure},
    queue::{done, settle},
    stage::{SHORT, Stage, numbered},
};
use loafer_core::{
    broker::{DeadLetter, Settled, Settlement},
    message::Message,
};

/// Of a batch published, what can't be sent fails with an error, and the rest arrives.
pub(super) async fn a_message_that_can_not_be_sent_fails_alone<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    const BAD: [usize; 2] = [3, 9];
    let queue = stage.queue().await?;
    let Some(largest) = stage.declaration().largest else {
        return Err(Fault::new(
            "no largest body is declared: declare one, or that there are no limits",
        ));
    };
    let mut batch = numbered(0..12);
    for at in BAD {
        batch[at] = Message::new(vec![b'x'; largest + 1]);
    }
    let answers = queue.try_publish(batch).await?;
    for (at, answer) in answers.iter().enumerate() {
        ensure!(
            answer.is_err() == BAD.contains(&at),
            "message {at} was answered with {answer:?}"
        );
    }
    let provider = queue.provider().await?;
    let came = queue.receive(&provider, 12 - BAD.len()).await?;
    let bodies: HashSet<_> = came
        .iter()
        .map(|one| one.message.payload().clone())
        .collect();
    ensure!(bodies.len() == came.len(), "a message came twice");
    done(&provider, &came, &Settlement::Ack).await
}

/// Of a batch settled, the receipt of an expired lease is lost; the rest is done, and whoever has the message now keeps it.
pub(super) async fn a_stale_receipt_is_lost_alone<S: BrokerUnderTest>(stage: Stage<S>) -> Checked {
    let queue = stage.queue_with(|wanted| wanted.lease = SHORT).await?;
    let provider = queue.provider().await?;
    queue.publish([Message::new("slow")]).await?;
    let stale = queue.receive_one(&provider).await?;
    let current = queue.receive_one(&provider).await?;
    queue.publish([Message::new("quick")]).await?;
    let quick = queue.receive_one(&provider).await?;
    let both = [(&stale, Settlement::Ack), (&quick, Settlement::Ack)];
    let answers = settle(&provider, both).await?;
    ensure!(
        matches!(answers[..], [Settled::Lost, Settled::Done]),
        "a stale receipt and a good one were answered with {answers:?}"
    );
    done(&provider, [&current], &Settlement::Ack).await
}

/// Ack, release, retry with and without delay, and a dead letter in one call.
pub(super) async fn settlements_of_all_kinds_share_a_batch<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    let queue = stage.queue().await?;
    let provider = queue.provider().await?;
    queue.publish(numbered(0..6)).await?;
    let mut came = queue.receive(&provider, 6).await?;
    came.sort_by_key(|delivery| delivery.message.payload().clone());
    let after = |delay| Settlement::Retry {
        after: Some(Duration::from_secs(delay)),
    };
    let dead_letter = Settlement::DeadLetter(Arc::new(envelope(&came[4].message)));
    let settlements = [
        Settlement::Ack,
        Settlement::Release,
        after(0),
        after(600),
        dead_letter,
        Settlement::Retry { after: None },
    ];
    for answer in settle(&provider, came.iter().zip(settlements)).await? {
        ensure!(
            matches!(answer, Settled::Done),
            "an entry was answered with {answer:?}"
        );
    }
    let mut again = queue.receive(&provider, 2).await?;
    again.sort_by_key(|delivery| delivery.message.payload().clone());
    let bodies: Vec<_> = again.iter().map(|one| &one.message.payload()[..]).collect();
    ensure!(
        bodies == [b"1", b"2"],
        "other messages came at once than the released and the retried one"
    );
    queue.nothing_for(&provider, Duration::from_secs(1)).await?;
    let dead_letters = queue.dead_letters(1).await?;
    ensure!(
        dead_letters[0].payload() == "4" && DeadLetter::of(&dead_letters[0]).is_some(),
        "another message is the dead letter"
    );
    done(&provider, &again, &Settlement::Ack).await
}

fn envelope(message: &Message) -> DeadLetter {
    DeadLetter {
        event_id: message.id().to_string(),
        message_id: message.id().to_string(),
        correlation_id: None,
        route: "conformance".into(),
        queue: "conformance".into(),
        topic: None,
        handler: "conformance".into(),
        attempts: message.attempt(),
        deliveries: message.deliveries(),
        first_failed_at: None,
        failed_at: "2026-01-01T00:00:00Z".into(),
        kind: "rejected".into(),
        reason: Some("no".into()),
        retried_from: None,
    }
}
