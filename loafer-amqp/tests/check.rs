//! What `check` says on a real server, and what `check --create` makes.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod again;
mod support;

use lapin::{
    BasicProperties,
    options::{BasicGetOptions, BasicNackOptions},
    types::AMQPValue,
};
use loafer_amqp::{Amqp, Declare, Options, QueueType};
use loafer_core::{
    broker::{Broker, Level, Open, Provider, Source},
    translate::Json,
};
use loafer_runtime::program::{Route, RouteOptions};
use serde_json::Value;
use support::{DEADLINE, Rabbit, on_queue, unique};
use tokio::time::timeout;

again::on_rabbitmq_4!();

type Findings = Vec<(Level, String)>;

async fn checked(rabbit: &Rabbit, mode: Open, options: RouteOptions) -> Findings {
    let route = Route::new("orders")
        .provider::<Amqp>()
        .options(options)
        .handler(Json, async |_: Value| true);
    let manager = rabbit.manager().open(mode).route(route).build().unwrap();
    let found = manager.check().await;
    let findings = found.into_iter().flat_map(|(_, findings)| findings);
    findings
        .map(|finding| (finding.level, finding.text))
        .collect()
}

fn worst(findings: &Findings) -> Level {
    findings.iter().map(|(level, _)| *level).max().unwrap()
}

#[track_caller]
fn has(findings: &Findings, level: Level, part: &str) {
    let found = findings
        .iter()
        .any(|(of, text)| *of == level && text.contains(part));
    assert!(found, "{level:?} `{part}` in {findings:#?}");
}

#[tokio::test]
async fn a_queue_of_its_own_is_sound_from_the_first_check_on() {
    let rabbit = rabbit!("a_queue_of_its_own_is_sound_from_the_first_check_on");
    let (queue, exchange) = (unique("sound"), unique("events"));
    let own = Options::new().exchange(&exchange).binding("order.*");
    let options = || on_queue(&queue, own.clone());
    for _ in 0..2 {
        let findings = checked(&rabbit, Open::Existing, options()).await;
        assert_eq!(worst(&findings), Level::Good, "{findings:#?}");
        has(&findings, Level::Good, "0 messages ready, 0 consumers");
        has(&findings, Level::Good, "by `order.*`");
        has(&findings, Level::Good, ".dead` is empty");
    }
    rabbit.clean(&queue).await;
    rabbit.delete_exchange(&exchange).await;
}

#[tokio::test]
async fn what_may_not_be_declared_is_a_finding_and_made_by_create() {
    let rabbit = rabbit!("what_may_not_be_declared_is_a_finding_and_made_by_create");
    let (queue, exchange) = (unique("created"), unique("events"));
    for declare in [Declare::Verify, Declare::Off] {
        let own = Options::new().exchange(&exchange).declare(declare);
        let options = || on_queue(&queue, own.clone()).consumer(&queue);
        let findings = checked(&rabbit, Open::Existing, options()).await;
        has(&findings, Level::Problem, "check --create");
        assert!(rabbit.counts(&queue).await.is_none(), "nothing was made");
        let findings = checked(&rabbit, Open::Create, options()).await;
        assert_eq!(worst(&findings), Level::Good, "{findings:#?}");
        has(&findings, Level::Good, "retries wait are there");
        assert!(rabbit.counts(&format!("{queue}.isolated")).await.is_some());
        let findings = checked(&rabbit, Open::Existing, options()).await;
        assert_eq!(worst(&findings), Level::Warning, "{findings:#?}");
        has(&findings, Level::Warning, "can't be seen over AMQP");
        // All delay queues but one.
        rabbit.delete(&format!("{queue}.delays.8s")).await;
        let findings = checked(&rabbit, Open::Existing, options()).await;
        // Under `off` the first retry makes none.
        let level = match declare {
            Declare::Off => Level::Problem,
            _ => Level::Warning,
        };
        has(
            &findings,
            level,
            &format!("1 of 11 queues is missing, first `{queue}.delays.8s`"),
        );
        for delay in (0..10).map(|doublings| 1 << doublings).chain([960]) {
            rabbit.delete(&format!("{queue}.delays.{delay}s")).await;
        }
        rabbit.clean(&queue).await;
        rabbit.delete_exchange(&exchange).await;
    }
}

#[tokio::test]
async fn a_look_makes_nothing() {
    let rabbit = rabbit!("a_look_makes_nothing");
    let (queue, exchange) = (unique("looked-at"), unique("events"));
    let options = || on_queue(&queue, Options::new().exchange(&exchange));
    let findings = checked(&rabbit, Open::ReadOnly, options()).await;
    has(&findings, Level::Warning, "does not exist yet");
    assert!(rabbit.counts(&queue).await.is_none(), "it was made");
    _ = checked(&rabbit, Open::Existing, options()).await;
    let findings = checked(&rabbit, Open::ReadOnly, options()).await;
    assert_eq!(worst(&findings), Level::Good, "{findings:#?}");
    rabbit.clean(&queue).await;
    rabbit.delete_exchange(&exchange).await;
}

#[tokio::test]
async fn how_a_queue_of_others_differs_is_a_finding() {
    let rabbit = rabbit!("how_a_queue_of_others_differs_is_a_finding");
    let (queue, dead_letters) = (unique("theirs"), unique("dead-letters"));
    rabbit.declare(&queue, &[]).await;
    rabbit.declare(&dead_letters, &[]).await;
    let options = Options::new()
        .exchange("")
        .declare(Declare::Off)
        .queue_type(QueueType::Classic)
        .dead_letter_queue(&dead_letters);
    let findings = checked(&rabbit, Open::Existing, on_queue(&queue, options)).await;
    has(
        &findings,
        Level::Warning,
        "current is none. RabbitMQ tells the first",
    );
    has(&findings, Level::Warning, "does not count deliveries");
    has(&findings, Level::Good, "bound to no exchange");
    has(
        &findings,
        Level::Good,
        &format!("`{dead_letters}` is empty"),
    );
    has(&findings, Level::Problem, "retries have nowhere to wait");
    rabbit.delete(&dead_letters).await;
    rabbit.delete(&queue).await;
}

#[tokio::test]
async fn limits_that_lose_messages_are_findings() {
    let rabbit = rabbit!("limits_that_lose_messages_are_findings");
    let queue = unique("limits");
    let quorum = ("x-queue-type", AMQPValue::LongString("quorum".into()));
    rabbit.declare(&format!("{queue}.dead"), &[quorum]).await;
    let options = Options::new()
        .exchange("")
        .argument("x-delivery-limit", 3)
        .declare(Declare::Verify);
    let options = on_queue(&queue, options).max_attempts(5);
    checked(&rabbit, Open::Existing, options.clone()).await;
    rabbit
        .declare(
            &queue,
            &[("x-queue-type", AMQPValue::LongString("quorum".into()))],
        )
        .await;
    let findings = checked(&rabbit, Open::Existing, options).await;
    has(
        &findings,
        Level::Warning,
        "gives a message up after 4 deliveries",
    );
    has(&findings, Level::Warning, "`max_attempts = 5`");
    has(&findings, Level::Warning, "raise `x-delivery-limit`");
    has(
        &findings,
        Level::Warning,
        "drops dead letters that were looked at more often",
    );
    rabbit.clean(&queue).await;
}

#[tokio::test]
async fn a_queue_with_another_delivery_limit_is_a_finding() {
    let rabbit = rabbit!("a_queue_with_another_delivery_limit_is_a_finding");
    let queue = unique("twenty");
    let options = |limit| {
        Options::new()
            .exchange("")
            .argument("x-delivery-limit", limit)
    };
    checked(&rabbit, Open::Existing, on_queue(&queue, options(20))).await;
    let own = || on_queue(&queue, Options::new().exchange(""));
    for mode in [Open::ReadOnly, Open::Existing] {
        let findings = checked(&rabbit, mode, own()).await;
        has(
            &findings,
            Level::Warning,
            "has `x-delivery-limit` 20 where this route would set 100",
        );
        let findings = checked(&rabbit, mode, own().max_deliveries(21)).await;
        has(
            &findings,
            Level::Warning,
            "gives a message up after 21 deliveries",
        );
    }
    // Other differences show beside it.
    let other = Options::new().exchange("").argument("x-max-length", 7);
    let findings = checked(&rabbit, Open::ReadOnly, on_queue(&queue, other)).await;
    has(&findings, Level::Warning, "x-max-length");
    rabbit.clean(&queue).await;
}

#[tokio::test]
async fn the_capabilities_know_after_how_many_deliveries_rabbitmq_gives_up() {
    let rabbit = rabbit!("the_capabilities_know_after_how_many_deliveries_rabbitmq_gives_up");
    let queue = unique("given-up");
    let own = Options::new().exchange("").argument("x-delivery-limit", 3);
    let provider = rabbit.amqp().provider(&Source::new("orders", &queue), &own);
    let provider = provider.unwrap();
    provider.open(Open::Create).await.unwrap();
    let plain = BasicProperties::default();
    rabbit.publish("", &queue, "7", plain).await;

    let channel = rabbit.channel().await;
    let requeue = BasicNackOptions {
        requeue: true,
        ..BasicNackOptions::default()
    };
    let mut deliveries = 0;
    let given_up = async {
        while rabbit.depth(&format!("{queue}.dead")).await == 0 {
            let got = channel.basic_get(queue.as_str().into(), BasicGetOptions::default());
            if let Some(got) = got.await.unwrap() {
                deliveries += 1;
                let tag = got.delivery.delivery_tag;
                channel.basic_nack(tag, requeue).await.unwrap();
            }
        }
    };
    timeout(DEADLINE, given_up).await.unwrap();
    assert_eq!(provider.capabilities().max_receives, Some(deliveries));
    rabbit.clean(&queue).await;
}
