//! Events in other encodings than JSON, from a handler to a handler.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

use std::time::Duration;

use loafer::prelude::*;

#[derive(PartialEq, prost::Message, Event)]
#[event(topic = "paid", encoding = Protobuf, group = customer)]
struct Paid {
    #[prost(string, tag = "1")]
    customer: String,
    #[prost(uint64, tag = "2")]
    cents: u64,
}

#[derive(PartialEq, prost::Message, Event)]
#[event(topic = "refunded", version = 2, encoding = Base64<Protobuf>)]
struct Refunded {
    #[prost(uint64, tag = "1")]
    cents: u64,
}

#[derive(Debug, serde::Serialize, serde::Deserialize, Event)]
#[event(topic = "counted", encoding = MessagePack)]
struct Counted(u64);

#[derive(Event)]
#[event(topic = "line", encoding = Text)]
struct Line(String);

impl AsRef<str> for Line {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[handler(route = "orders", provider = Memory, publish)]
async fn order(cents: u64) -> (Paid, Option<Refunded>, Vec<Counted>) {
    let paid = Paid {
        customer: "ana".to_owned(),
        cents,
    };
    (paid, Some(Refunded { cents }), vec![Counted(cents)])
}

#[handler(route = "paid", provider = Memory, translator = Protobuf, publish = "counted")]
async fn paid(paid: Paid) -> Counted {
    Counted(paid.cents + 1)
}

#[handler(route = "refunded", provider = Memory, translator = Base64<Protobuf>)]
async fn refunded(refunded: Refunded) -> bool {
    refunded.cents == 7
}

#[handler(route = "asked", provider = Memory, reply)]
async fn asked(cents: u64) -> Line {
    Line(format!("{cents}00"))
}

#[tokio::test(start_paused = true)]
async fn events_go_in_their_encodings_and_say_so() {
    let app = loafer::testing::app().start().await;
    app.publish("orders", &7).await;
    app.settled().await;
    for route in ["orders", "paid", "refunded"] {
        app.route(route).assert_acked(1);
    }
    app.assert_published(|paid: &Paid| paid.cents == 7);
    app.assert_published(|refunded: &Refunded| refunded.cents == 7);
    let counted = app.published_events::<Counted>();
    assert_eq!([counted[0].0, counted[1].0], [7, 8]);
    let header = |topic: &str, name: &str| {
        let message = app.published(topic).remove(0);
        message.headers().get(name).map(str::to_owned)
    };
    for (topic, of) in [
        ("paid", "application/x-protobuf"),
        ("refunded", "text/plain"),
        ("counted", "application/vnd.msgpack"),
    ] {
        assert_eq!(header(topic, "content-type").as_deref(), Some(of));
        assert_eq!(header(topic, "event-type").as_deref(), Some(topic));
    }
    assert_eq!(app.published("paid")[0].group(), Some("ana"));
    assert!(std::str::from_utf8(app.published("refunded")[0].payload()).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_reply_goes_in_the_encoding_of_its_event() {
    let app = loafer::testing::app().only(["asked"]).start().await;
    // Text that happens to be JSON, which the type is not able to be.
    let reply: u64 = app
        .request("asked", &9, Duration::from_secs(5))
        .await
        .unwrap();
    assert_eq!(reply, 900);
}
