//! An envelope is opened once for each message, however many handlers look into it.

use std::{
    borrow::Cow,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use loafer_core::{
    event::Event,
    message::{EVENT_TYPE, Message},
    outcome::Outcome,
    translate::{Envelope, Text, TranslateError, Translator},
};
use loafer_runtime::{
    bus::Replier,
    program::{Route, RouteOptions},
    testing::{self, TestApp},
};
use serde::{Deserialize, Serialize};

thread_local! {
    /// How many envelopes were opened. Each test has a thread of its own.
    static OPENED: AtomicUsize = const { AtomicUsize::new(0) };
}

fn opened() -> usize {
    OPENED.with(|opened| opened.swap(0, Ordering::Relaxed))
}

/// An envelope that says the event's type before a colon, and the payload after it.
#[derive(Clone, Default)]
struct Counted;

impl Envelope for Counted {
    fn open<'m>(&self, raw: &'m Message) -> Result<Cow<'m, Message>, TranslateError> {
        OPENED.with(|opened| opened.fetch_add(1, Ordering::Relaxed));
        let text = String::from_utf8_lossy(raw.payload());
        let Some((of, inner)) = text.trim_matches('"').split_once(':') else {
            return Err(TranslateError::new("no colon"));
        };
        let opened = raw.clone().with_payload(inner.to_owned());
        Ok(Cow::Owned(opened.with_header(EVENT_TYPE, of)))
    }
}

impl<'m> Translator<'m, String> for Counted {
    fn translate(&self, message: &'m Message) -> Result<String, TranslateError> {
        Text.translate(message)
    }
}

fn on(pattern: &str) -> Route {
    let options = RouteOptions::new().max_attempts(2);
    let route = Route::new("orders").on(pattern.parse().unwrap());
    route.options(options)
}

async fn handled(body: String) -> Result<Outcome, &'static str> {
    match &*body {
        "fail" => Err("no"),
        "reject" => Ok(Outcome::Reject {
            reason: "not for us".into(),
        }),
        _ => Ok(Outcome::Ack),
    }
}

/// Starts a route with three handlers of this translator.
async fn start() -> TestApp {
    let route = |pattern| on(pattern).handler(Counted, handled);
    let app = testing::app().route(route("order.placed"));
    let app = app.route(route("order.paid")).route(route("order.sent"));
    app.start().await
}

#[tokio::test(start_paused = true)]
async fn an_envelope_is_opened_once_for_each_attempt_whatever_becomes_of_it() {
    let app = start().await;
    for (body, attempts) in [
        ("order.placed:fine", 1),
        ("order.paid:fine", 1),
        ("order.sent:fine", 1),
        ("order.sent:reject", 1),
        ("order.sent:fail", 2),
        ("order.cancelled:fine", 2),
    ] {
        opened();
        app.publish_message("orders", Message::new(body)).await;
        app.settled().await;
        assert_eq!(opened(), attempts, "{body}");
    }
    let orders = app.route("orders");
    assert_eq!((orders.acked(), orders.dead_lettered()), (3, 3));
}

#[derive(Deserialize, Serialize)]
struct Wanted(String);

impl Event for Wanted {
    type Encoding = loafer_core::translate::Json;
    const TOPIC: &'static str = "orders";
}

#[tokio::test(start_paused = true)]
async fn the_envelope_of_a_request_is_opened_once_for_each_attempt() {
    let route = |pattern| {
        let handler = async |body: String, replier: Replier| {
            let outcome = handled(body).await?;
            if matches!(outcome, Outcome::Ack) {
                replier.reply(&1).await.map_err(|_| "no reply")?;
            }
            Ok::<_, &str>(outcome)
        };
        on(pattern).replying().handler(Counted, handler)
    };
    let app = testing::app()
        .route(route("order.placed"))
        .route(route("order.paid"))
        .route(route("order.sent"))
        .start()
        .await;
    for (body, attempts, answered) in [
        ("order.placed:fine", 1, true),
        ("order.sent:fine", 1, true),
        ("order.sent:reject", 1, false),
        ("order.sent:fail", 2, false),
    ] {
        opened();
        let wanted = Wanted(body.to_owned());
        let reply: Result<u8, _> = app
            .request("orders", &wanted, Duration::from_secs(600))
            .await;
        assert_eq!(reply.is_ok(), answered, "{body}");
        app.settled().await;
        assert_eq!(opened(), attempts, "{body}");
    }
}
