//! Wherever the user's code panics over a message, that message alone is not acked.

use std::{
    borrow::Cow,
    future::{Future, ready},
    panic::panic_any,
    pin::Pin,
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use loafer_core::{
    event::Event,
    extract::{Batch, Context, FromContext, Missing, Rejection, Resources},
    message::Message,
    policy::GroupBy,
    translate::{Envelope, Json, TranslateError, Translator},
};
use loafer_runtime::{
    bus::Bus,
    handler::{Failure, Report},
    program::{Route, RouteOptions},
    testing::{self, TestBuilder},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The message that panics. The others are handled.
const BAD: u64 = 0;

fn route() -> Route {
    let options = RouteOptions::new().concurrency(2).max_attempts(2);
    Route::new("r").options(options.group_by(GroupBy::header("none")))
}

fn handled(number: u64) -> bool {
    assert_ne!(number, BAD, "handled, though it had panicked before");
    true
}

/// Messages before and after the bad one are acked. The bad one is a dead letter or, where it was handled before anything panicked, acked as well.
async fn only_the_bad_one_fails(place: &str, app: TestBuilder) {
    let app = app.start().await;
    for number in [1, BAD, 2, BAD, 3, 4] {
        app.publish("r", &number).await;
    }
    app.advance(Duration::from_secs(600)).await;
    let acked = app.route("r").acked();
    let dead_lettered = app.route("r").dead_lettered() as u64;
    assert!(acked >= 4, "{place}: {acked} acked");
    assert_eq!(acked + dead_lettered, 6, "{place}");
    assert_eq!(app.running().in_flight(), 0, "{place}");
    app.publish("r", &5).await;
    app.advance(Duration::from_secs(600)).await;
    assert_eq!(app.route("r").acked(), acked + 1, "{place}: stands still");
    assert!(app.running().is_ready(), "{place}");
}

/// It panics when it is dropped, if it is bad.
#[derive(Debug, Deserialize)]
struct Held(u64);

impl Drop for Held {
    fn drop(&mut self) {
        assert_ne!(self.0, BAD, "not to be dropped");
    }
}

/// A translator that panics at one step, or leaves something behind that can't be dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Faulty {
    #[default]
    Opening,
    Translating,
    Extending,
}

impl Envelope for Faulty {
    fn open<'m>(&self, raw: &'m Message) -> Result<Cow<'m, Message>, TranslateError> {
        let number: u64 = Json.translate(raw)?;
        assert!(*self != Self::Opening || number != BAD, "can't open it");
        Ok(match self {
            Self::Extending => Cow::Owned(raw.clone().with_extension(Held(number))),
            _ => Cow::Borrowed(raw),
        })
    }
}

impl<'m> Translator<'m, u64> for Faulty {
    fn translate(&self, message: &'m Message) -> Result<u64, TranslateError> {
        let number: u64 = Json.translate(message)?;
        assert!(*self != Self::Translating || number != BAD);
        Ok(number)
    }
}

#[tokio::test(start_paused = true)]
async fn in_a_translator() {
    for faulty in [Faulty::Opening, Faulty::Translating, Faulty::Extending] {
        let handler = move |number: u64| ready(faulty == Faulty::Extending || handled(number));
        let single = route().handler(faulty, handler);
        let name = format!("{faulty:?}");
        only_the_bad_one_fails(&name, testing::app().route(single)).await;
        let handler = async |_: Batch<u64>| true;
        let batches = route().batch_handler(faulty, handler);
        let name = format!("{faulty:?} in a batch");
        only_the_bad_one_fails(&name, testing::app().route(batches)).await;
    }
}

/// It panics while it is decoded.
struct Decoded(u64);

impl<'de> Deserialize<'de> for Decoded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u64::deserialize(deserializer)?;
        assert_ne!(number, BAD, "can't decode it");
        Ok(Self(number))
    }
}

/// It panics while it is encoded.
struct Encoded(u64);

impl Serialize for Encoded {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert_ne!(self.0, BAD, "can't encode it");
        serializer.serialize_u64(self.0)
    }
}

impl Event for Encoded {
    type Encoding = Json;
    const TOPIC: &'static str = "out";
}

#[tokio::test(start_paused = true)]
async fn in_a_value_that_is_decoded_or_encoded() {
    let decodes = route().handler(Json, async |decoded: Decoded| handled(decoded.0));
    only_the_bad_one_fails("decoding", testing::app().route(decodes)).await;
    let encodes = route().handler(Json, async |number: u64, bus: Bus| {
        bus.publish(&Encoded(number)).await.is_ok() && handled(number)
    });
    only_the_bad_one_fails("encoding", testing::app().route(encodes)).await;
}

/// It panics when it is dropped after it has returned, if it is bad.
struct Call(Held);

impl Future for Call {
    type Output = bool;

    fn poll(self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<bool> {
        Poll::Ready(self.0.0 < u64::MAX)
    }
}

#[tokio::test(start_paused = true)]
async fn in_what_is_dropped() {
    let event = route().handler(Json, async |held: Held| held.0 < u64::MAX);
    only_the_bad_one_fails("an event", testing::app().route(event)).await;
    let call = route().handler(Json, |number: u64| Call(Held(number)));
    only_the_bad_one_fails("a call", testing::app().route(call)).await;
    // A batch whose call panics fails as a whole.
    let one = || route().options(RouteOptions::new().batch(1));
    let item = one().batch_handler(Json, async |_: Batch<Held>| true);
    only_the_bad_one_fails("an item", testing::app().route(item)).await;
    let thrown = route().handler(Json, async |number: u64| {
        if number == BAD {
            panic_any(Held(BAD));
        }
        true
    });
    only_the_bad_one_fails("what it panicked with", testing::app().route(thrown)).await;
    let thrown = one().batch_handler(Json, async |numbers: Batch<u64>| {
        if numbers.values().any(|number| *number == BAD) {
            panic_any(Held(BAD));
        }
        true
    });
    only_the_bad_one_fails("what a batch panicked with", testing::app().route(thrown)).await;
}

/// It panics as it is extracted.
struct Extracted;

impl FromContext for Extracted {
    type Needs = ();

    fn needs(_: &Resources) -> Result<(), Missing> {
        Ok(())
    }

    fn from_context((): &(), context: &Context<'_>) -> Result<Self, Rejection> {
        assert_ne!(&context.message().payload()[..], b"0", "can't extract it");
        Ok(Self)
    }
}

#[tokio::test(start_paused = true)]
async fn in_an_extractor_or_an_extension() {
    let extracts = route().handler(Json, async |number: u64, _: Extracted| handled(number));
    only_the_bad_one_fails("extracting", testing::app().route(extracts)).await;
    let extends = route().handler(Json, async |_: u64| true);
    let layer = tower::util::MapRequestLayer::new(|request: loafer_runtime::handler::Request| {
        let number = Json.translate(request.message()).unwrap_or(BAD);
        request.with_extension(Held(number))
    });
    let app = testing::app().layer(layer).route(extends);
    only_the_bad_one_fails("an extension", app).await;
}

/// It panics at every failure.
struct Reporter;

impl Report for Reporter {
    fn failed(&self, _: &Failure) {
        panic_any(Held(BAD))
    }
}

#[tokio::test(start_paused = true)]
async fn in_what_is_told_of_a_failure() {
    let fails = || {
        let handler = async |number: u64| match number {
            BAD => Err("no"),
            _ => Ok(true),
        };
        route().handler(Json, handler)
    };
    let app = testing::app().report(Reporter).route(fails());
    only_the_bad_one_fails("a reporter", app).await;
    let asked = fails().on_error(|failure: Failure| {
        if failure.reason() == "no" {
            panic_any(Held(BAD));
        }
        ready(false)
    });
    only_the_bad_one_fails("`on_error`", testing::app().route(asked)).await;
    let asked = fails().on_error(async |_: Failure| -> bool { panic_any(Held(BAD)) });
    only_the_bad_one_fails("its future", testing::app().route(asked)).await;
}
