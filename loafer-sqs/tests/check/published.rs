//! The topics that a service publishes to: looked at, and made.

use loafer_core::{
    broker::{Broker as _, Finding, Level, Open, Publisher as _, Topic},
    message::Message,
};
use loafer_runtime::program::{Manager, Route};
use loafer_sqs::Sqs;

use super::{support, unique};
use crate::server;

/// What `check` says of the topics of a handler on a queue that exists.
async fn checked(server: &support::Server, queue: &str, topics: &[&str], mode: Open) -> Manager {
    let topics: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
    let route = Route::new(queue.to_owned())
        .provider::<Sqs>()
        .publishes(topics)
        .handler(loafer_core::translate::Json, async |_: u64| true);
    let manager = server.manager().route(route);
    manager.open(mode).build().unwrap()
}

fn is_problem(finding: &Finding, said: &str) {
    assert_eq!(finding.level, Level::Problem, "{finding:?}");
    assert!(finding.text.contains(said), "{finding:?}");
}

#[tokio::test]
async fn topics_that_are_missing_are_found_and_made() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "topics_that_are_missing_are_found_and_made"
    );
    let (topic, fifo, queue) = (unique("topic"), unique("topic") + ".fifo", unique("queue"));
    let arn = format!("arn:aws:sns:us-east-1:000000000000:{}", unique("theirs"));
    let address = format!("sqs:{queue}");
    let of_handler = server.queue("publishing", None).await.name;
    let names = [&*arn, &*address, &*topic, &*fifo];
    let look = async |mode| {
        let manager = checked(&server, &of_handler, &names, mode).await;
        manager.check_topics().await
    };

    // By their names, as they are sorted.
    for _ in 0..2 {
        let missing = look(Open::ReadOnly).await;
        assert_eq!(missing.len(), 4, "{missing:?}");
        is_problem(&missing[0], "correct the ARN");
        is_problem(&missing[1], &format!("queue `{queue}` does not exist"));
        is_problem(&missing[1], "run `check --create`");
        let of_topics = missing[2].text.clone() + &missing[3].text;
        assert!(of_topics.contains("aws sns create-topic"), "{of_topics}");
        assert!(of_topics.contains("FifoTopic=true"), "{of_topics}");
        is_problem(&missing[2], "it is published to by `");
    }

    let made = look(Open::Create).await;
    is_problem(&made[0], "correct the ARN");
    for made in &made[1..] {
        assert_eq!(made.level, Level::Good, "{made:?}");
    }
    let dead_letters = format!("made the dead-letter queue `{queue}-dlq`, made queue `{queue}`");
    assert!(made[1].text.contains(&dead_letters), "{made:?}");
    let carries =
        "it carries: up to 1024 KiB, 10 headers, text only, delays up to 366 days, no order";
    assert!(made[1].text.contains(carries), "{made:?}");

    let again = look(Open::ReadOnly).await;
    let exist = |found: &Finding| found.text.contains("exists");
    assert!(again[1..].iter().all(exist), "{again:?}");
    let publisher = server.sqs().publisher();
    let mut answers = Vec::new();
    for name in [&address, &topic] {
        let batch = [Message::new("1").into()];
        publisher
            .publish(&Topic::from(&**name), &batch, &mut answers)
            .await;
    }
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}

#[tokio::test]
async fn a_start_that_may_create_makes_its_topics() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "a_start_that_may_create_makes_its_topics"
    );
    let (queue, topic) = (unique("started"), unique("started-topic"));
    let manager = checked(&server, &queue, &[&topic], Open::Create).await;
    let running = manager.start().await.unwrap();
    running.cancel();
    running.ended().await;
    let found = checked(&server, &queue, &[&topic], Open::ReadOnly).await;
    let found = found.check_topics().await;
    assert_eq!(found[0].level, Level::Good, "{found:?}");
}
