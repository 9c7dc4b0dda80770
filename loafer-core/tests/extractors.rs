//! What a handler takes beside its message, where it may be missing.

use std::fmt;

use loafer_core::{
    App, Context, Extension, FromContext, Json, Missing, Rejection, Request, Route, State, testing,
};
use tower::util::MapRequestLayer;

#[derive(Clone, Debug, PartialEq)]
struct Caller(&'static str);

/// Refuses odd attempts.
#[derive(Debug)]
struct Even;

impl FromContext for Even {
    type Needs = ();

    fn needs(_: &App) -> Result<(), Missing> {
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
