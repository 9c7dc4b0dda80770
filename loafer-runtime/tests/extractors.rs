//! What a handler takes beside its message, where it may be missing.

use std::fmt;

use loafer_core::extract::Resources;
use loafer_core::{
    broker::DeadLetter,
    extract::{
        Batch, Context, Extension, FromContext, Metadata, Missing, OptionalFromContext, Rejection,
        State,
    },
    message::{Headers, Message},
    translate::Json,
};
use loafer_runtime::{bus::Bus, handler::Request, program::Route, testing};
use tower::util::MapRequestLayer;

#[derive(Clone, Debug, PartialEq)]
struct Caller(&'static str);

/// Refuses odd attempts.
#[derive(Debug)]
struct Even;

impl FromContext for Even {
    type Needs = ();

    fn needs(_: &Resources) -> Result<(), Missing> {
        Ok(())
    }

    fn from_context((): &(), context: &Context<'_>) -> Result<Self, Rejection> {
        match context.message().attempt() % 2 {
            0 => Ok(Self),
            _ => Err(Rejection::new("an odd attempt")),
        }
    }
}

impl fmt::Display for Even {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("even")
    }
}

#[tokio::test(start_paused = true)]
async fn a_layers_extension_comes_to_the_handler() {
    let handler = async |_: u8, caller: Extension<Caller>| *caller == Caller("ana");
    let layer = MapRequestLayer::new(|request: Request| request.with_extension(Caller("ana")));
    let route = Route::new("calls").handler(Json, handler);
    let app = testing::app().layer(layer).route(route).start().await;
    app.publish("calls", &1).await;
    app.settled().await;
    assert_eq!(app.route("calls").acked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_message_without_its_extension_is_not_acked_unless_it_may_lack_it() {
    let must = Route::new("must").handler(Json, async |_: u8, _: Extension<Caller>| true);
    let may = Route::new("may").handler(Json, async |_: u8, caller: Option<Extension<Caller>>| {
        caller.is_none()
    });
    let app = testing::app().route(must).route(may).start().await;
    app.publish("must", &1).await;
    app.publish("may", &1).await;
    app.settled().await;
    assert_eq!(
        (app.route("must").failed(), app.route("must").acked()),
        (3, 0)
    );
    assert_eq!(app.route("may").acked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_handler_can_judge_a_rejection() {
    let handler = async |_: u8, even: Result<Even, Rejection>| match even {
        Ok(even) => even.to_string() == "even",
        Err(rejection) => {
            assert_eq!(rejection.to_string(), "an odd attempt");
            false
        }
    };
    let route = Route::new("attempts").handler(Json, handler);
    let app = testing::app().route(route).start().await;
    app.publish("attempts", &1).await;
    app.settled().await;
    let attempts = app.route("attempts");
    assert_eq!(
        (attempts.received(), attempts.acked(), attempts.failed()),
        (2, 1, 0)
    );
}

/// Refuses every message for good.
#[derive(Debug)]
struct Never;

impl FromContext for Never {
    type Needs = ();

    fn needs(_: &Resources) -> Result<(), Missing> {
        Ok(())
    }

    fn from_context((): &(), _: &Context<'_>) -> Result<Self, Rejection> {
        Err(Rejection::reject("no retry helps"))
    }
}

impl OptionalFromContext for Never {
    fn optional_from_context((): &(), context: &Context<'_>) -> Result<Option<Self>, Rejection> {
        Self::from_context(&(), context).map(Some)
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_good_is_dead_lettered_at_once() {
    let plain = Route::new("plain").handler(Json, async |_: u8, _: Never| true);
    let option = Route::new("option").handler(Json, async |_: u8, _: Option<Never>| true);
    let app = testing::app().route(plain).route(option).start().await;
    for route in ["plain", "option"] {
        app.publish(route, &1).await;
        app.settled().await;
        let told = app.route(route);
        assert_eq!((told.received(), told.failed()), (1, 0));
        told.assert_dead_lettered("no retry helps");
        let envelope = DeadLetter::of(&told.dead_letters()[0]);
        assert_eq!(envelope.expect("an envelope").kind, "rejected");
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_can_judge_a_refusal_for_good() {
    let handler = async |_: u8, never: Result<Never, Rejection>| {
        never.is_err_and(|rejection| rejection.is_for_good())
    };
    let route = Route::new("judged").handler(Json, handler);
    let app = testing::app().route(route).start().await;
    app.publish("judged", &1).await;
    app.settled().await;
    app.assert_acked("judged", 1);
}

#[tokio::test(start_paused = true)]
async fn optional_state_is_none_where_the_app_has_none() {
    let handler = async |there: bool, state: Option<State<String>>| state.is_some() == there;
    let route = || Route::new("state").handler(Json, handler);
    let without = testing::app().route(route()).start().await;
    without.publish("state", &false).await;
    without.settled().await;
    let with = testing::app()
        .state("here".to_owned())
        .route(route())
        .start()
        .await;
    with.publish("state", &true).await;
    with.settled().await;
    assert_eq!(
        (without.route("state").acked(), with.route("state").acked()),
        (1, 1)
    );
}

/// Absent without its header, refused where that is no number.
#[derive(Debug, PartialEq)]
struct Tenant(u32);

impl FromContext for Tenant {
    type Needs = ();

    fn needs(_: &Resources) -> Result<(), Missing> {
        Ok(())
    }

    fn from_context((): &(), context: &Context<'_>) -> Result<Self, Rejection> {
        let tenant = Self::optional_from_context(&(), context)?;
        tenant.ok_or_else(|| Rejection::new("no tenant"))
    }
}

impl OptionalFromContext for Tenant {
    fn optional_from_context((): &(), context: &Context<'_>) -> Result<Option<Self>, Rejection> {
        let Some(tenant) = context.message().headers().get("tenant") else {
            return Ok(None);
        };
        let number = tenant.parse();
        number
            .map(|number| Some(Self(number)))
            .map_err(|_| Rejection::new("the tenant is no number"))
    }
}

#[tokio::test(start_paused = true)]
async fn an_option_is_none_for_what_is_absent_and_not_for_what_is_refused() {
    let handler = async |expected: Option<u32>, tenant: Option<Tenant>| {
        tenant.map(|tenant| tenant.0) == expected
    };
    let route = Route::new("orders").handler(Json, handler);
    let app = testing::app().route(route).start().await;
    app.publish("orders", &None::<u32>).await;
    let of_seven = Message::new("7").with_header("tenant", "7");
    app.publish_message("orders", of_seven).await;
    app.settled().await;
    app.assert_acked("orders", 2);

    let wrong = Message::new("null").with_header("tenant", "seven");
    app.publish_message("orders", wrong).await;
    app.settled().await;
    let orders = app.route("orders");
    orders.assert_acked(2).assert_failed(3);
    orders.assert_dead_lettered("the tenant is no number");
}

#[tokio::test(start_paused = true)]
async fn what_the_framework_brings_can_be_taken_as_an_option() {
    let handler = async |_: u8,
                         metadata: Option<Metadata>,
                         headers: Option<Headers>,
                         message: Option<Message>,
                         bus: Option<Bus>| {
        metadata.is_some() && headers.is_some() && message.is_some() && bus.is_some()
    };
    let batches = async |_: Batch<u8>, state: Option<State<u64>>, bus: Option<Bus>| {
        state.is_none() && bus.is_some()
    };
    let app = testing::app()
        .route(Route::new("one").handler(Json, handler))
        .route(Route::new("many").batch_handler(Json, batches))
        .start()
        .await;
    app.publish("one", &1).await;
    app.publish("many", &1).await;
    app.settled().await;
    app.assert_acked("one", 1);
    app.assert_acked("many", 1);
}
