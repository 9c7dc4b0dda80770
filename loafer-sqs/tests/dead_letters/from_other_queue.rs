//! Other queues: those that dead letters are sent to, those whose dead letters these are, and one that has no dead letters.

use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName as Name;
use loafer_core::{broker::Destination, message::Message};
use loafer_runtime::dead_letters::Selection;

use super::{
    dead_letters, on, opened, reject,
    support::{self, Queue, Server},
};

pub(crate) async fn dead_letters_are_not_sent_where_they_are_or_to_a_queue_of_the_same_name(
    server: Server,
) {
    let queue = server.queue("same", Some(Duration::from_secs(30))).await;
    reject(&queue, vec![Message::new("x").into()]).await;
    let dead_letters = dead_letters(&server, &queue).await;
    let own = format!("{}-dlq", queue.url);
    let arn = queue.attribute(&own, Name::QueueArn).await.unwrap();
    // The same queue by another name of its host.
    let (_, path) = own.split_once("://").unwrap().1.split_once('/').unwrap();
    let other = queue.attribute(&queue.url, Name::QueueArn).await.unwrap();
    let (head, account_and_name) = other.split_at(other.match_indices(':').nth(3).unwrap().0);
    let region = head.rsplit_once(':').unwrap().0;
    let elsewhere = format!("{region}:mars-north-1{account_and_name}");
    let itself = "it is the dead-letter queue itself";
    // ElasticMQ knows no regions.
    let not_that = ["does not exist in mars-north-1", "was found in its place"];
    for (to, why) in [
        (arn, [itself; 2]),
        (format!("http://localhost/{path}"), [itself; 2]),
        (elsewhere, not_that),
    ] {
        let to = Destination::Queue(to);
        let sent = dead_letters.send(&Selection::All, &to, None, &mut on).await;
        let error = match sent {
            Ok(mut sent) => sent.failed.remove(0).1,
            Err(error) => error,
        };
        let error = error.to_string();
        let said = why.iter().any(|why| error.contains(why));
        assert!(said, "{to:?}: {error}");
    }
    let to = Destination::Queue(other);
    let sent = dead_letters
        .send(&Selection::All, &to, None, &mut on)
        .await
        .unwrap();
    assert_eq!((sent.sent, sent.failed.len()), (1, 0), "{sent:?}");
}

pub(crate) async fn without_a_dead_letter_queue_it_says_what_to_do(server: Server) {
    let queue = server.queue("none", None).await;
    let dead_letters = Queue {
        name: format!("{}-dlq", queue.name),
        ..queue
    };
    let error = opened(&dead_letters, server.sqs())
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("has no dead-letter queue"), "{error}");
    let line = "aws sqs set-queue-attributes --region us-east-1 --endpoint-url";
    assert!(error.contains(line), "{error}");
    assert!(
        error.contains(&format!("/{}'", dead_letters.name)),
        "{error}"
    );
}

/// fauxqs does not say whose they are.
#[tokio::test]
async fn whose_dead_letters_a_purge_takes_along_is_reported() {
    let case = "whose_dead_letters_a_purge_takes_along_is_reported";
    let Some(server) = support::server("LOAFER_TEST_ELASTICMQ", case) else {
        return;
    };
    let queue = server.queue("mine", None).await;
    let alone = dead_letters(&server, &queue).await.purge_warnings().await;
    assert_eq!(alone.len(), 1, "{alone:?}");
    let policy = queue.attribute(&queue.url, Name::RedrivePolicy).await;
    let other = queue.name.replace("mine", "theirs");
    let make = queue.client.create_queue().queue_name(&other);
    let make = make.attributes(Name::RedrivePolicy, policy.unwrap());
    make.send().await.unwrap();
    let warnings = dead_letters(&server, &queue).await.purge_warnings().await;
    let said = format!("other queues, too: `{other}`");
    assert!(warnings[0].ends_with(&said), "{warnings:?}");
}
