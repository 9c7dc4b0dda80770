//! What the engine looks for in envelopes: groups, and what dead letters and failures say.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use loafer_core::{
    broker::DeadLetter,
    extract::{Batch, Metadata},
    message::{CORRELATION_ID, EVENT_ID, EVENT_TYPE, Message},
    outcome::{FailureKind, Outcome},
    policy::GroupBy,
    translate::{Cloudevents, Envelope, Json, Sns, TranslateError, Translator},
};
use loafer_runtime::{
    handler::Failure,
    program::{Route, RouteOptions},
    testing,
};
use serde_json::{Value, json};
use tokio::time::sleep;

const WORK: Duration = Duration::from_secs(1);

/// How many messages of each group run, and the most that ran at once.
#[derive(Clone, Default)]
struct Running(Arc<Mutex<HashMap<String, (usize, usize)>>>);

impl Running {
    async fn work(&self, group: &str) -> bool {
        {
            let mut running = self.0.lock().unwrap();
            let (now, most) = running.entry(group.to_owned()).or_default();
            *now += 1;
            *most = (*most).max(*now);
        }
        sleep(WORK).await;
        self.0.lock().unwrap().get_mut(group).unwrap().0 -= 1;
        true
    }

    fn most(&self, group: &str) -> usize {
        self.0.lock().unwrap()[group].1
    }
}

fn notification(body: &Value, attributes: &[(&str, &str)]) -> Message {
    let attributes = attributes.iter();
    let attributes = attributes.map(|(name, value)| {
        let value = json!({ "Type": "String", "Value": value });
        ((*name).to_owned(), value)
    });
    let attributes: serde_json::Map<_, _> = attributes.collect();
    let envelope = json!({
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": "arn:aws:sns:eu-central-1:000000000000:orders",
        "Message": body.to_string(),
        "Timestamp": "2026-01-01T00:00:00.000Z",
        "MessageAttributes": attributes,
    });
    Message::new(envelope.to_string())
}

fn structured(tenant: &str) -> Message {
    let event = json!({
        "specversion": "1.0", "id": "1", "source": "/orders", "type": "order.placed",
        "tenant": tenant, "datacontenttype": "application/json", "data": 1,
    });
    Message::new(event.to_string()).with_header(
        "content-type",
        "application/cloudevents+json; charset=utf-8",
    )
}

fn by(header: &'static str) -> RouteOptions {
    let options = RouteOptions::new().concurrency(10).max_attempts(1);
    options.group_by(GroupBy::header(header))
}

#[tokio::test(start_paused = true)]
async fn groups_are_those_that_the_handler_sees() {
    let (sns, cloudevents) = (Running::default(), Running::default());
    let (seen, seen_too) = (sns.clone(), cloudevents.clone());
    let of_sns = Route::new("sns").options(by("tenant")).handler(
        Sns::<Json>::default(),
        move |_: u32, metadata: Metadata| {
            let seen = seen.clone();
            async move { seen.work(metadata.headers().get("tenant").unwrap()).await }
        },
    );
    let of_cloudevents = Route::new("ce").options(by("ce-tenant")).handler(
        Cloudevents::<Json>::default(),
        move |_: u32, metadata: Metadata| {
            let seen = seen_too.clone();
            async move {
                seen.work(metadata.headers().get("ce-tenant").unwrap())
                    .await
            }
        },
    );
    let app = testing::app().route(of_sns).route(of_cloudevents);
    let app = app.start().await;
    for tenant in ["acme", "acme", "bell", "acme", "bell"] {
        let message = notification(&json!(1), &[("tenant", tenant)]);
        app.publish_message("sns", message).await;
        app.publish_message("ce", structured(tenant)).await;
    }
    app.advance(WORK / 2).await;
    assert_eq!(sns.0.lock().unwrap().len(), 2, "tenants run side by side");
    app.settled().await;
    for running in [sns, cloudevents] {
        assert_eq!((running.most("acme"), running.most("bell")), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_in_an_envelope_is_grouped_as_it_is() {
    let running = Running::default();
    let seen = running.clone();
    let route = Route::new("r").options(by("tenant")).handler(
        Sns::<Json>::default(),
        move |_: u32, metadata: Metadata| {
            let seen = seen.clone();
            async move { seen.work(metadata.headers().get("tenant").unwrap()).await }
        },
    );
    let app = testing::app().route(route).start().await;
    let plain = Message::new("1").with_header("tenant", "acme");
    for message in [
        plain.clone(),
        notification(&json!(1), &[("tenant", "acme")]),
        plain,
    ] {
        app.publish_message("r", message).await;
    }
    app.settled().await;
    assert_eq!(running.most("acme"), 1);
}

thread_local! {
    /// How many envelopes were opened. Each test has a thread of its own.
    static OPENED: AtomicUsize = const { AtomicUsize::new(0) };
}

/// An envelope that says the event's type, and the tenant, before a colon each.
#[derive(Clone, Default)]
struct Written<const SIGN: char>;

impl<const SIGN: char> Envelope for Written<SIGN> {
    fn open<'m>(&self, raw: &'m Message) -> Result<Cow<'m, Message>, TranslateError> {
        OPENED.with(|opened| opened.fetch_add(1, Ordering::Relaxed));
        let text = String::from_utf8_lossy(raw.payload());
        let mut parts = text.splitn(3, SIGN);
        let (Some(of), Some(tenant), Some(rest)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(TranslateError::new("no envelope of this kind"));
        };
        let opened = raw.clone().with_payload(rest.to_owned());
        let opened = opened.with_header(EVENT_TYPE, of.to_owned());
        Ok(Cow::Owned(opened.with_header("tenant", tenant.to_owned())))
    }
}

impl<'m, const SIGN: char> Translator<'m, u32> for Written<SIGN> {
    fn translate(&self, message: &'m Message) -> Result<u32, TranslateError> {
        Json.translate(message)
    }
}

#[tokio::test(start_paused = true)]
async fn on_a_route_of_several_handlers_the_one_that_takes_a_message_says_its_group() {
    let running = Running::default();
    let route = |pattern: &str| {
        let route = Route::new("r").options(by("tenant"));
        route.on(pattern.parse().unwrap())
    };
    let work = |running: &Running| {
        let running = running.clone();
        move |_: u32, metadata: Metadata| {
            let running = running.clone();
            async move {
                running
                    .work(metadata.headers().get("tenant").unwrap())
                    .await
            }
        }
    };
    let app = testing::app()
        .route(route("placed").handler(Written::<':'>, work(&running)))
        .route(route("paid").handler(Written::<'/'>, work(&running)));
    let app = app.start().await;
    for body in [
        "placed:acme:1",
        "paid/acme/2",
        "paid/bell/3",
        "placed:acme:4",
    ] {
        app.publish_message("r", Message::new(body)).await;
    }
    app.settled().await;
    assert_eq!(app.route("r").acked(), 4);
    assert_eq!((running.most("acme"), running.most("bell")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_opened_is_in_no_group() {
    let running = Running::default();
    let seen = running.clone();
    let route = Route::new("r").options(by("tenant")).handler(
        Written::<':'>,
        move |_: u32, metadata: Metadata| {
            let seen = seen.clone();
            async move { seen.work(metadata.headers().get("tenant").unwrap()).await }
        },
    );
    let app = testing::app().route(route).start().await;
    app.publish_message("r", Message::new("placed:acme:1"))
        .await;
    let broken = Message::new("broken").with_header("tenant", "acme");
    app.publish_message("r", broken).await;
    app.advance(WORK / 2).await;
    let route = app.route("r");
    assert_eq!((route.acked(), route.dead_lettered()), (0, 1));
    app.settled().await;
}

#[tokio::test(start_paused = true)]
async fn grouping_opens_no_envelope_twice() {
    let single = Route::new("single").options(by("tenant"));
    let single = single.handler(Written::<':'>, async |_: u32| true);
    let batches = Route::new("batches").options(by("tenant"));
    let batches = batches.batch_handler(Written::<':'>, async |_: Batch<u32>| true);
    let app = testing::app().route(single).route(batches).start().await;
    for route in ["single", "batches"] {
        app.publish_message(route, Message::new("placed:acme:1"))
            .await;
        app.settled().await;
        let opened = OPENED.with(|opened| opened.swap(0, Ordering::Relaxed));
        assert_eq!(opened, 1, "{route}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_and_a_failure_say_what_the_envelope_says() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let note = told.clone();
    let route = Route::new("r")
        .options(RouteOptions::new().max_attempts(1))
        .on_error(move |failure: Failure| {
            let metadata = failure.metadata();
            let (topic, tenant) = (metadata.topic(), metadata.headers().get("tenant"));
            let said = (topic.map(str::to_owned), tenant.map(str::to_owned));
            note.lock().unwrap().push(said);
            async { false }
        })
        .handler(Sns::<Json>::default(), async |number: u32| match number {
            1 => Err("no"),
            _ => Ok(Outcome::Reject {
                reason: "not for us".into(),
            }),
        });
    let app = testing::app().route(route).start().await;
    let attributes = [
        (CORRELATION_ID, "c-1"),
        (EVENT_ID, "e-1"),
        ("tenant", "acme"),
    ];
    for number in [1, 2] {
        let message = notification(&json!(number), &attributes);
        app.publish_message("r", message).await;
    }
    let broken = Message::new(r#"{"Type": "Notification", "TopicArn": "a:orders"}"#);
    let broken = broken.with_header(CORRELATION_ID, "c-2").with_topic("r");
    app.publish_message("r", broken).await;
    app.settled().await;
    let opened = (Some("orders".to_owned()), Some("acme".to_owned()));
    let raw = (Some("r".to_owned()), None);
    assert_eq!(*told.lock().unwrap(), [opened, raw]);
    let mut dead_letters = app.route("r").dead_letters().to_vec();
    dead_letters.sort_by_key(|message| message.payload().len());
    let letters: Vec<_> = dead_letters
        .iter()
        .map(|message| DeadLetter::of(message).unwrap())
        .collect();
    assert_eq!(letters[0].kind, FailureKind::Undecodable.as_str());
    assert_eq!(letters[0].topic.as_deref(), Some("r"));
    assert_eq!(letters[0].correlation_id.as_deref(), Some("c-2"));
    for letter in &letters[1..] {
        assert_eq!(letter.topic.as_deref(), Some("orders"));
        assert_eq!(letter.correlation_id.as_deref(), Some("c-1"));
        assert_eq!(letter.event_id, "e-1");
    }
}
