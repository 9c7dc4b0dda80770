//! The SNS topics that feed a queue: made, subscribed, allowed to send, and judged.

use aws_sdk_sqs::types::QueueAttributeName as Name;
use loafer_core::{
    broker::{Broker as _, Level, NoOptions, Open, Provider as _, Source},
    translate::{Json, Sns},
};
use loafer_runtime::program::{App, Manager, Route, RouteOptions};
use loafer_sqs::Sqs;

use super::{checked, support, texts, unique};
use crate::server;

fn of_topic(name: &str) -> Route {
    Route::new(name.to_owned()).handler(Sns::new(), async |_: u64| true)
}

#[tokio::test]
async fn topic_subscription_and_policy_are_made_for_the_translator_sns() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "topic_subscription_and_policy_are_made_for_the_translator_sns"
    );
    let name = unique("fed");
    let findings = checked(&server, of_topic(&name), Open::Create).await;
    let good = texts(&findings, Level::Good);
    for made in [
        format!("made queue `{name}`"),
        format!("made the SNS topic `{name}`"),
        format!("subscribed queue `{name}` to the SNS topic `{name}`"),
        format!("let the SNS topic `{name}` send to queue `{name}`"),
        format!(
            "subscribed to the SNS topic `{name}`, and the queue's policy has the statement that lets it send"
        ),
    ] {
        assert!(good.contains(&&*made), "{made}: {findings:?}");
    }
    assert!(texts(&findings, Level::Warning).is_empty(), "{findings:?}");

    let arn = format!("arn:aws:sns:us-east-1:000000000000:{name}");
    let publish = server.sns().publish().topic_arn(arn).message("1");
    publish.send().await.unwrap();
    let provider = server
        .sqs()
        .provider(&Source::new(&name, &name), &NoOptions::default());
    let provider = provider.unwrap();
    provider.open(Open::Existing).await.unwrap();
    let came = support::receive(&provider, 1).await.remove(0).message;
    assert!(came.payload().starts_with(b"{"), "in its envelope");

    let again = checked(&server, of_topic(&name), Open::Create).await;
    assert!(again[0].text.ends_with("exists"), "{again:?}");
}

#[tokio::test]
async fn a_topic_that_does_not_reach_the_queue_comes_with_the_lines_that_mend_it() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "a_topic_that_does_not_reach_the_queue_comes_with_the_lines_that_mend_it"
    );
    let queue = server.queue("deaf", None).await;
    let findings = checked(&server, of_topic(&queue.name), Open::Existing).await;
    let warnings = texts(&findings, Level::Warning);
    let make = format!(
        "aws sns create-topic --region us-east-1 --endpoint-url '{}'",
        server.endpoint
    );
    assert!(warnings[0].contains(&make), "{findings:?}");
    let subscribe = format!(
        "--protocol sqs --notification-endpoint 'arn:aws:sqs:us-east-1:000000000000:{}'",
        queue.name
    );
    assert!(warnings[0].contains(&subscribe), "{findings:?}");
    let policy = format!("/{}' --attributes '{{\"Policy\":", queue.name);
    assert!(warnings[0].contains(&policy), "{findings:?}");

    // The queue is there: it is subscribed, and its policy is reported, not set.
    let findings = checked(&server, of_topic(&queue.name), Open::Create).await;
    let problems = texts(&findings, Level::Problem);
    assert!(problems[0].contains("does not let it send"), "{findings:?}");
    let line = format!(
        "set-queue-attributes --region us-east-1 --endpoint-url '{}'",
        server.endpoint
    );
    assert!(problems[0].contains(&line), "{findings:?}");
    assert_eq!(queue.attribute(&queue.url, Name::Policy).await, None);

    // A policy of other words is not judged, and the line keeps it.
    let other = r#"{"Statement":{"Sid":"mine","Effect":"Allow","Principal":"*","Action":"sqs:*","Resource":"*"}}"#;
    queue.set(Name::Policy, other).await;
    let findings = checked(&server, of_topic(&queue.name), Open::Existing).await;
    assert!(texts(&findings, Level::Problem).is_empty(), "{findings:?}");
    let warnings = texts(&findings, Level::Warning);
    assert!(warnings[0].contains("not judged here"), "{findings:?}");
    for part in ["mine", "sns.amazonaws.com"] {
        assert!(warnings[0].contains(part), "{findings:?}");
    }
}

#[tokio::test]
async fn each_of_several_topics_feeds_the_queue() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "each_of_several_topics_feeds_the_queue"
    );
    let (name, others) = (unique("several"), [unique("closed"), unique("paid")]);
    let route = || of_topic(&name).options(RouteOptions::new().topics(others.clone()));
    let findings = checked(&server, route(), Open::Create).await;
    let good = texts(&findings, Level::Good);
    assert!(texts(&findings, Level::Warning).is_empty(), "{findings:?}");
    for topic in &others {
        let fed = format!(
            "subscribed to the SNS topic `{topic}`, and the queue's policy has the statement that lets it send"
        );
        assert!(good.contains(&&*fed), "{findings:?}");
        let arn = format!("arn:aws:sns:us-east-1:000000000000:{topic}");
        let publish = server.sns().publish().topic_arn(arn).message("1");
        publish.send().await.unwrap();
    }
    let not_a_topic = format!("the SNS topic `{name}`");
    assert!(
        !good.iter().any(|text| text.contains(&not_a_topic)),
        "{good:?}"
    );
    let provider = server
        .sqs()
        .provider(&Source::new(&name, &name), &NoOptions::default());
    let provider = provider.unwrap();
    provider.open(Open::Existing).await.unwrap();
    support::receive(&provider, 2).await;
}

/// The line that mends the policy lets all topics send: of two lines the second would undo the first.
#[tokio::test]
async fn one_line_lets_all_topics_send() {
    let server = server!("LOAFER_TEST_FAUXQS", "one_line_lets_all_topics_send");
    let queue = server.queue("deaf", None).await;
    let topics = [unique("closed"), unique("paid")];
    let options = RouteOptions::new().topics(topics.clone());
    let route = of_topic(&queue.name).options(options);
    let findings = checked(&server, route, Open::Existing).await;
    let warnings = texts(&findings, Level::Warning);
    assert_eq!(warnings.len(), 2, "{findings:?}");
    for warning in warnings {
        let (_, line) = warning.split_once("set-queue-attributes").unwrap();
        for topic in &topics {
            assert!(line.contains(topic), "{warning}");
        }
    }
}

#[tokio::test]
async fn a_pattern_is_not_made_and_is_reported() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "a_pattern_is_not_made_and_is_reported"
    );
    let name = unique("pattern");
    let route = of_topic(&name).options(RouteOptions::new().topics("order.*"));
    let findings = checked(&server, route, Open::Create).await;
    let warnings = texts(&findings, Level::Warning);
    assert_eq!(warnings.len(), 1, "{findings:?}");
    let said = format!("name each topic in `topics` under [routes.{name}]");
    assert!(warnings[0].contains(&said), "{findings:?}");
}

#[tokio::test]
async fn a_topic_is_looked_at_if_any_handler_opens_its_envelope() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "a_topic_is_looked_at_if_any_handler_opens_its_envelope"
    );
    let queue = server.queue("mixed", None).await;
    let mut manager = Manager::builder().app(App::new().broker(server.sqs()));
    let plain = Route::new(queue.name.clone()).handler(Json, async |_: u64| true);
    for (route, kind) in [(of_topic(&queue.name), "made"), (plain, "paid")] {
        manager = manager.route(route.provider::<Sqs>().on(kind.parse().unwrap()));
    }
    let manager = manager.open(Open::Existing).build().unwrap();
    let findings = manager.check().await.remove(0).1;
    let missing = format!("there is no SNS topic `{}`", queue.name);
    let warnings = texts(&findings, Level::Warning);
    assert!(
        warnings.iter().any(|text| text.starts_with(&missing)),
        "{findings:?}"
    );
}

#[tokio::test]
async fn a_key_that_sns_can_not_use_is_a_problem() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "a_key_that_sns_can_not_use_is_a_problem"
    );
    let name = unique("keyed");
    checked(&server, of_topic(&name), Open::Create).await;
    let client = server.client();
    let url = client.get_queue_url().queue_name(&name).send().await;
    let url = url.unwrap().queue_url.unwrap();
    for (key, level, said) in [
        (
            "alias/aws/sqs",
            Level::Problem,
            "SNS, S3 and EventBridge can't use",
        ),
        (
            "alias/orders",
            Level::Warning,
            "lets that service use kms:GenerateDataKey* and kms:Decrypt",
        ),
    ] {
        let set = client.set_queue_attributes().queue_url(&url);
        set.attributes(Name::KmsMasterKeyId, key)
            .send()
            .await
            .unwrap();
        let findings = checked(&server, of_topic(&name), Open::Existing).await;
        let found = texts(&findings, level);
        assert!(found.iter().any(|text| text.contains(said)), "{findings:?}");
        // Nobody else sends to the queue of this one.
        let own = Route::new(name.clone()).handler(Json, async |_: u64| true);
        let findings = checked(&server, own, Open::Existing).await;
        assert!(
            !findings
                .iter()
                .any(|finding| finding.text.contains("encrypted")),
            "{findings:?}"
        );
    }
}
