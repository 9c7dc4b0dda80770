//! What is told of messages that are not acked: what happens next, and nothing of what their bodies say.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use loafer_core::{
    broker::DeadLetter,
    extract::Batch,
    message::Message,
    outcome::{FailureKind, IntoOutcome, Outcome, Verdict},
    policy::{Backoff, Undecodable},
    translate::{
        Base64, Cloudevents, Envelope, EventBridge, Json, S3Event, S3Notification, Sns, Text,
        Translator,
    },
};
use loafer_runtime::{
    handler::{Failure, Report},
    program::{Route, RouteOptions},
    testing,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{logged::Logged, scripted::Scripted};

const SECOND: Duration = Duration::from_secs(1);

fn retry(after: Duration) -> Verdict {
    Outcome::Retry { after }.into_outcome()
}

/// Handles the messages 0 to 4, each in another way, and returns the lines about them.
async fn lines(options: RouteOptions, lease: bool, decides: bool) -> Vec<String> {
    let logged = Logged::default();
    let _on = tracing::subscriber::set_default(logged.clone());
    let route = Route::new("r").provider::<Scripted>().options(options);
    let route = match decides {
        true => route.on_error(async |_: Failure| true),
        false => route,
    };
    let route = route.handler(Json, async |number: u64| match number {
        0 => Verdict::failed(FailureKind::Error, "no"),
        1 => Verdict::NACK,
        2 => retry(Duration::from_millis(1500)),
        3 => retry(Duration::ZERO),
        _ => Outcome::Reject {
            reason: "not for us".into(),
        }
        .into_outcome(),
    });
    let broker = Scripted::default().then(Duration::ZERO, 0..=4);
    let broker = if lease { broker } else { broker.leaseless() };
    let running = broker.start_route(route).await;
    sleep(SECOND / 2).await;
    drop(running);
    let mut lines = logged.lines("message not acked");
    let reasons = ["no\"", "false", "1.5s", "0ns", "rejected"];
    lines.sort_by_key(|line| reasons.iter().position(|reason| line.contains(reason)));
    lines
}

fn says(lines: &[String], next: [&str; 5]) {
    assert_eq!(lines.len(), next.len(), "one line each: {lines:#?}");
    for (line, next) in lines.iter().zip(next) {
        assert!(
            line.contains(" handler=\"engine::failure_lines::lines"),
            "{line}"
        );
        assert!(line.contains(&format!(" next=\"{next}\" ")), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn while_dead_letters_can_not_be_made_a_line_does_not_promise_one() {
    let logged = Logged::default();
    let _on = tracing::subscriber::set_default(logged.clone());
    let route = Route::new("r").provider::<Scripted>();
    let route = route.handler(Json, async |_: u64| Outcome::Reject {
        reason: "not for us".into(),
    });
    let broker = Scripted::default()
        .then(Duration::ZERO, [1])
        .then(10 * SECOND, [2]);
    broker.lock().dead_letters_fail = true;
    let running = broker.start_route(route).await;
    sleep(11 * SECOND).await;
    drop(running);
    let lines = logged.lines("message not acked");
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains(" next=\"dead-lettered\" "), "{lines:?}");
    let retried = " next=\"dead-lettered, or retried while no dead letters can be made\" ";
    assert!(lines[1].contains(retried), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn a_line_names_the_handler_of_what_stood_behind_a_failed_message_in_its_batch() {
    let logged = Logged::default();
    let _on = tracing::subscriber::set_default(logged.clone());
    let route = Route::new("r").provider::<Scripted>();
    let route = route.batch_handler(Json, async |_: Batch<u64>| false);
    let broker = Scripted::default().then(Duration::ZERO, [1, 2]);
    broker.lock().ordered = true;
    let running = broker.start_route(route).await;
    sleep(SECOND).await;
    drop(running);
    let lines = logged.lines("an earlier message of its group");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].contains(" handler=\"engine::failure_lines::")
            && lines[0].contains(" next=\"run again after that one\" "),
        "{lines:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_line_names_the_handler_and_what_happens_next() {
    let backoff = Backoff::new(4 * SECOND).with_jitter(false);
    let options = RouteOptions::new().backoff(backoff).max_attempts(5);
    let second = "retried after 4s (attempt 2 of 5)";
    let asked = "retried after 1s 500ms (attempt 2 of 5)";
    let at_once = "retried at once (attempt 2 of 5)";
    let told = lines(options, true, false).await;
    says(&told, [second, second, asked, at_once, "dead-lettered"]);

    let (asked, at_once) = (
        "retried after 1s 500ms (attempt 2)",
        "retried at once (attempt 2)",
    );
    let decides = "the route's `on_error` decides";
    let lapses = "retried when its lease ends (attempt 2)";
    let told = lines(RouteOptions::new(), true, true).await;
    says(&told, [decides, lapses, asked, at_once, "dead-lettered"]);
    let again = "retried when the broker redelivers it (attempt 2)";
    let told = lines(RouteOptions::new(), false, false).await;
    says(&told, [again, again, asked, at_once, "dead-lettered"]);
    let told = lines(RouteOptions::new().max_attempts(1), true, false).await;
    says(&told, ["dead-lettered"; 5]);
}

#[tokio::test(start_paused = true)]
async fn a_line_about_a_lost_ack_says_that_it_is_made_up_for() {
    let logged = Logged::default();
    let _on = tracing::subscriber::set_default(logged.clone());
    let route = Route::new("r").provider::<Scripted>();
    let route = route.handler(Json, async |number: u64| number == 1);
    let broker = Scripted::default().then(Duration::ZERO, [1]);
    broker.lock().unsettled.insert(1);
    let running = broker.start_route(route).await;
    sleep(120 * SECOND).await;
    drop(running);
    let lines = logged.lines("message not acked");
    assert_eq!(lines.len(), 1, "{lines:?}");
    let (redelivered, acked) = ("the broker redelivers it", "and it is acked then");
    assert!(
        lines[0].contains(redelivered) && lines[0].contains(acked),
        "{lines:?}"
    );
}

/// What must not be told: neither as a value nor as the key of a map.
const SECRET: &str = "s3cr3t 4242";
const NUMBER: u64 = 4_242_424_242;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "decoded only")]
struct Order {
    id: u8,
    name: String,
    paid: bool,
    kind: Kind,
    lines: Vec<Line>,
    prices: BTreeMap<String, u16>,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "decoded only")]
struct Line {
    item: (u8, char),
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Book,
}

fn order() -> Value {
    json!({
        "id": 1, "name": "ana", "paid": true, "kind": "book",
        "lines": [{ "item": [1, "a"] }], "prices": { "eur": 1 },
    })
}

/// Returns the value with the secret in each of its places, in each form.
fn with_secrets(value: &Value) -> Vec<Value> {
    let forms = [
        json!(SECRET),
        json!(NUMBER),
        json!([SECRET, NUMBER]),
        json!({ SECRET: SECRET }),
    ];
    let mut all = forms.to_vec();
    match value {
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                all.extend(with_secrets(item).into_iter().map(|secret| {
                    let mut items = items.clone();
                    items[at] = secret;
                    Value::Array(items)
                }));
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                all.extend(with_secrets(member).into_iter().map(|secret| {
                    let mut members = members.clone();
                    members.insert(name.clone(), secret);
                    Value::Object(members)
                }));
            }
            all.extend(forms.map(|secret| {
                let mut members = members.clone();
                members.insert(SECRET.to_owned(), secret);
                Value::Object(members)
            }));
        }
        _ => {}
    }
    all
}

/// What a reporter is told.
#[derive(Clone, Default)]
struct Reported(Arc<Mutex<Vec<String>>>);

impl Report for Reported {
    fn failed(&self, failure: &Failure) {
        let error = failure.error();
        let told = format!("{failure:?} {} {error} {error:?}", failure.reason());
        self.0.lock().unwrap().push(told);
    }
}

/// Nothing is told of what is in these bodies, though most of them can't be decoded.
async fn keeps_secrets<T, M>(translator: T, bodies: impl IntoIterator<Item = Vec<u8>>)
where
    T: Envelope + Clone + for<'m> Translator<'m, M>,
    M: Send + 'static,
{
    let logged = Logged::default();
    let _on = tracing::subscriber::set_default(logged.clone());
    let reported = Reported::default();
    let options = RouteOptions::new().undecodable(Undecodable::Reject);
    let route = Route::new("r").options(options);
    let route = route.handler(translator, async |_: M| true);
    let app = testing::app().report(reported.clone()).route(route);
    let app = app.start().await;
    for body in bodies {
        app.publish_message("r", Message::new(body)).await;
    }
    app.settled().await;
    let name = std::any::type_name::<T>();
    let letters = app.route("r").dead_letters().to_vec();
    assert!(letters.len() > 3, "{name}: {}", letters.len());
    let letters = letters.iter().map(|letter| {
        let envelope = letter.headers().get(DeadLetter::HEADER);
        envelope.unwrap().to_owned()
    });
    let reports = reported.0.lock().unwrap().clone();
    assert_eq!(reports.len(), letters.len());
    let told = logged.lines("").into_iter().chain(letters).chain(reports);
    for text in told {
        let quoted = text.contains("s3cr3t") || text.contains(&NUMBER.to_string());
        assert!(!quoted, "{name}: {text}");
    }
}

fn written(values: impl IntoIterator<Item = Value>) -> Vec<Vec<u8>> {
    let mut bodies: Vec<_> = values
        .into_iter()
        .map(|value| value.to_string().into_bytes())
        .collect();
    // What is cut is no JSON any more.
    let cut: Vec<_> = bodies
        .iter()
        .map(|body| body[..body.len() - 1].to_vec())
        .collect();
    bodies.extend(cut);
    bodies.push(SECRET.into());
    bodies
}

#[tokio::test(start_paused = true)]
async fn nothing_is_told_of_what_an_undecodable_body_says() {
    let orders = written(with_secrets(&order()));
    keeps_secrets::<_, Order>(Json, orders.clone()).await;
    let encoded = orders.iter().map(|body| STANDARD.encode(body).into_bytes());
    let encoded = encoded.chain(orders.clone());
    keeps_secrets::<_, Order>(Base64::of(Json), encoded).await;
    let texts =
        ["", "\u{1f511}", "x"].map(|text| [text.as_bytes(), SECRET.as_bytes(), b"\xff"].concat());
    keeps_secrets::<_, String>(Text, texts.into_iter().chain([b"\xff4242".to_vec()])).await;

    let sns = |body: String| {
        json!({
            "Type": "Notification", "MessageId": "1", "TopicArn": "a:b:orders", "Subject": "s",
            "Message": body, "Timestamp": "2026-01-01T00:00:00.000Z",
            "MessageAttributes": { "tenant": { "Type": "String", "Value": "acme" } },
        })
    };
    let bodies = with_secrets(&sns(order().to_string()));
    let bodies = bodies
        .into_iter()
        .filter(|body| !body["TopicArn"].to_string().contains("4242"));
    let inside = with_secrets(&order())
        .into_iter()
        .map(|order| sns(order.to_string()));
    keeps_secrets::<_, Order>(Sns::<Json>::default(), written(bodies.chain(inside))).await;

    let bus = |detail: Value| {
        json!({
            "version": "0", "id": "1", "detail-type": "order.placed", "source": "shop",
            "account": "1", "time": "2026-01-01T00:00:00Z", "region": "eu", "resources": ["r"],
            "detail": detail,
        })
    };
    let bodies = with_secrets(&bus(order())).into_iter();
    let bodies = bodies.filter(|body| !body["detail-type"].to_string().contains("4242"));
    keeps_secrets::<_, Order>(EventBridge::<Json>::default(), written(bodies)).await;

    let event = json!({
        "specversion": "1.0", "id": "1", "source": "/orders", "type": "order.placed",
        "datacontenttype": "application/json", "data": order(),
    });
    let bodies = written(with_secrets(&event));
    keeps_secrets::<_, Order>(Cloudevents::<Json>::default(), bodies).await;

    let stored = json!({ "Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "eventTime": "2026-01-01T00:00:00.000Z",
        "eventName": "ObjectCreated:Put",
        "s3": { "bucket": { "name": "b", "arn": "a" }, "object": { "key": "k", "size": 1 } },
    }] });
    keeps_secrets::<_, S3Notification>(S3Event, written(with_secrets(&stored))).await;
}
