//! Configuration: what is read, what outranks what, and what is said of mistakes.

#![allow(
    clippy::unwrap_used,
    reason = "outside of a test function, a helper panics as one"
)]

use std::time::Duration;

use loafer_core::{
    Error,
    broker::{Broker, NoOptions, Source},
    message::Message,
    policy::Backoff,
    translate::Json,
};
use loafer_memory::{Memory, MemoryProvider, MemoryPublisher};
use loafer_runtime::{
    program::{App, Config, Manager, Route, RouteOptions},
    testing,
};
use serde_json::Value;

const ROUTES: &[&str] = &["friend-created", "order.placed"];

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn fault(file: &str, environment: &[(&str, &str)]) -> String {
    Config::parse(file, variables(environment), ROUTES)
        .unwrap_err()
        .to_string()
}

/// The concurrency and queue of `friend-created` once all is weighed.
fn weighed(file: &str, environment: &[(&str, &str)]) -> Result<(usize, String), Error> {
    let config = Config::parse(file, variables(environment), ROUTES)?;
    let route = |name: &'static str| {
        let options = RouteOptions::new().concurrency(2).queue("by-attribute");
        Route::new(name)
            .provider::<Memory>()
            .options(options)
            .handler(Json, async |_: Value| true)
    };
    let app = App::new().options("friend-created", RouteOptions::new().concurrency(3));
    let manager = Manager::builder()
        .app(app)
        .config(config)
        .route(route("friend-created"))
        .route(route("order.placed"));
    let summary = manager.build()?.routes().swap_remove(0);
    Ok((summary.concurrency, summary.queue))
}

#[test]
fn names_with_dots_are_written_in_quotes_and_an_app_has_a_name() {
    let told = fault("[routes.order.placed]\nconcurrency = 1", &[]);
    assert!(
        told.contains("written in quotes, as [routes.\"order."),
        "{told}"
    );
    assert!(fault("app = \" \"", &[]).contains("`app` is empty"));
    assert!(fault("", &[("LOAFER_APP", "")]).contains("`app` is empty"));
}

#[test]
fn code_outranks_the_attribute_the_file_outranks_code_and_the_environment_the_file() {
    let file = "[routes.friend-created]\nconcurrency = 4\nqueue = \"by-file\"";
    let environment = [("LOAFER_ROUTES__FRIEND_CREATED__CONCURRENCY", "5")];
    assert_eq!(weighed("", &[]).unwrap(), (3, "by-attribute".to_owned()));
    assert_eq!(weighed(file, &[]).unwrap(), (4, "by-file".to_owned()));
    assert_eq!(
        weighed(file, &environment).unwrap(),
        (5, "by-file".to_owned())
    );
}

#[test]
fn a_dot_in_a_route_is_an_underscore_in_the_environment() {
    let environment = variables(&[("LOAFER_ROUTES__ORDER_PLACED__TIMEOUT", "20s")]);
    Config::parse("", environment, ROUTES).unwrap();
}

#[test]
fn a_backoff_is_a_duration_or_a_table_in_the_file_and_in_the_environment() {
    for written in [
        "\"1s\"",
        "{ initial = \"1s\" }",
        "{ initial = \"1s\", factor = 2, max = \"15m\", jitter = true }",
    ] {
        Config::parse(
            &format!("[routes.friend-created]\nbackoff = {written}"),
            [],
            ROUTES,
        )
        .unwrap();
    }
    let of_route = "LOAFER_ROUTES__FRIEND_CREATED__BACKOFF";
    Config::parse("", variables(&[(of_route, "1s")]), ROUTES).unwrap();
    Config::parse(
        "",
        variables(&[("LOAFER_ROUTES__FRIEND_CREATED__BACKOFF__INITIAL", "1s")]),
        ROUTES,
    )
    .unwrap();
    assert!(fault("", &[(of_route, "soon")]).contains("`soon` is no duration"));
}

#[test]
fn an_unknown_key_names_the_nearest_known_one() {
    assert_eq!(
        fault("drian = \"1s\"", &[]),
        "`loafer.toml`: unknown key `drian`; did you mean `drain`?"
    );
    assert_eq!(
        fault("[routes.freind-created]", &[]),
        "`loafer.toml`: unknown route `routes.freind-created`; did you mean `friend-created`?"
    );
    assert_eq!(
        fault("[routes.friend-created]\nconcurency = 3", &[]),
        "`loafer.toml`: unknown key `routes.friend-created.concurency`; did you mean `concurrency`?"
    );
    let unknown = fault("", &[("LOAFER_ROUTES__FRIEND_CREATED__QUEU", "q")]);
    assert!(unknown.contains("did you mean `QUEUE`?"), "{unknown}");
}

#[test]
fn a_wrong_value_is_told_with_its_place() {
    let wrong = fault("[routes.friend-created]\ntimeout = 20", &[]);
    assert!(
        wrong.contains("line 2") && wrong.contains("timeout = 20"),
        "{wrong}"
    );
    let wrong = fault("[routes.friend-created]\ntimeout = \"20\"", &[]);
    assert!(wrong.contains("write a number and a unit"), "{wrong}");
    let wrong = fault(
        "",
        &[("LOAFER_ROUTES__FRIEND_CREATED__CONCURRENCY", "many")],
    );
    assert!(
        wrong.contains("`LOAFER_ROUTES__FRIEND_CREATED__CONCURRENCY`")
            && wrong.contains("`many` is no whole number"),
        "{wrong}"
    );
    let zero = weighed("[routes.friend-created]\nconcurrency = 0", &[])
        .unwrap_err()
        .to_string();
    assert!(zero.contains("set at least 1"), "{zero}");
}

#[test]
fn nobody_handles_without_handlers_and_nobody_shares_a_route() {
    let none = Manager::builder().build().unwrap_err().to_string();
    assert!(
        none.contains("no handlers") && none.contains("#[handler(route"),
        "{none}"
    );
    let route = || Route::new("r").handler(Json, async |_: Value| true);
    let two = Manager::builder()
        .route(route())
        .route(route())
        .build()
        .unwrap_err()
        .to_string();
    assert!(
        two.contains("route `r` has 2 handlers") && two.contains("config.rs:"),
        "{two}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_topic_with_another_name_elsewhere_is_heard_in_memory() {
    let config = Config::parse(
        "[topics.r]\nname = \"arn:aws:sns:us-east-1:1:r-of-production\"",
        [],
        &["r"],
    )
    .unwrap();
    let memory = Memory::new();
    let app = App::new().broker(memory.clone());
    let bus = app.bus();
    let route = Route::new("r").handler(Json, async |_: Value| true);
    let running = Manager::builder()
        .app(app)
        .config(config)
        .route(route)
        .build()
        .unwrap()
        .start()
        .await
        .unwrap();
    bus.publish_to("r", &1).await.unwrap();
    memory.settled().await;
    assert_eq!(running.stats("r").unwrap().received, 1);
}

#[tokio::test(start_paused = true)]
async fn what_goes_to_a_queue_is_seen_as_published() {
    let app = testing::app().route(Route::new("r").handler(
        Json,
        async |_: Value, bus: loafer_runtime::bus::Bus| {
            bus.send("sqs:elsewhere", Message::new("1")).await.is_ok()
        },
    ));
    let app = app.start().await;
    app.publish("r", &1).await;
    app.settled().await;
    assert_eq!(app.published("sqs:elsewhere").len(), 1);
}

#[test]
fn a_part_of_a_backoff_keeps_the_rest_whatever_the_order() {
    let whole = "[routes.friend-created]\nbackoff = { initial = \"1s\", max = \"5m\" }";
    let part = ("LOAFER_ROUTES__FRIEND_CREATED__BACKOFF__MAX", "5m");
    let first = ("LOAFER_ROUTES__FRIEND_CREATED__BACKOFF", "1s");
    let short = "[routes.friend-created]\nbackoff = \"1s\"";
    let read = |file: &str, environment: &[(&str, &str)]| {
        let config = Config::parse(file, variables(environment), ROUTES).unwrap();
        format!("{config:?}")
    };
    let expected = read(whole, &[]);
    assert_eq!(read(short, &[part]), expected);
    assert_eq!(read("", &[first, part]), expected);
    assert_eq!(read("", &[part, first]), expected);
}

#[test]
fn a_number_below_zero_or_beyond_all_measure_names_its_variable() {
    for key in ["CONCURRENCY", "PREFETCH", "MAX_ATTEMPTS"] {
        for value in ["-1", "5000000000"] {
            let name = format!("LOAFER_ROUTES__FRIEND_CREATED__{key}");
            let wrong = fault("", &[(&name, value)]);
            assert!(
                wrong.contains(&format!("`{name}`"))
                    && wrong.contains(&format!("`{value}` is no whole number from 0")),
                "{wrong}"
            );
        }
    }
}

#[test]
fn what_kubernetes_injects_is_refused_with_what_to_do() {
    for name in [
        "LOAFER_PORT",
        "LOAFER_PORT_80_TCP_ADDR",
        "LOAFER_SERVICE_HOST",
        "LOAFER_SERVICE_PORT_HTTP",
        "LOAFER_X_SERVICE_HOST",
    ] {
        let refused = fault("", &[(name, "10.0.0.1")]);
        assert!(
            refused.contains(&format!("`{name}`"))
                && refused.contains("if Kubernetes injected it, set `enableServiceLinks: false`"),
            "{refused}"
        );
    }
    for (name, value) in [("LOAFER_DRIAN", "1s"), ("LOAFER_ROUTES__PORT__QUEUE", "q")] {
        let refused = fault("", &[(name, value)]);
        assert!(!refused.contains("Kubernetes"), "{refused}");
    }
}

/// Memory by another name: in memory topics are not renamed.
#[derive(Default)]
struct Elsewhere(Memory);

impl Broker for Elsewhere {
    type Provider = MemoryProvider;
    type Publisher = MemoryPublisher;
    type Options = NoOptions;
    const KIND: &'static str = "elsewhere";

    fn provider(&self, source: &Source, options: &NoOptions) -> Result<MemoryProvider, Error> {
        self.0.provider(source, options)
    }

    fn publisher(&self) -> MemoryPublisher {
        self.0.publisher()
    }
}

/// How many messages reach the route `renamed` when one is published to this topic.
async fn renamed(topic: &str, file: &str, environment: &[(&str, &str)]) -> u64 {
    let config = Config::parse(file, variables(environment), &["renamed"]).unwrap();
    let memory = Memory::new();
    let app = App::new().broker(Elsewhere(memory.clone()));
    let bus = app.bus();
    let route = Route::new("renamed")
        .provider::<Elsewhere>()
        .handler(Json, async |_: Value| true);
    let manager = Manager::builder().app(app).config(config).route(route);
    let running = manager.build().unwrap().start().await.unwrap();
    bus.publish_to(topic, &1).await.unwrap();
    memory.settled().await;
    let received = running.stats("renamed").unwrap().received;
    running.shutdown();
    running.ended().await;
    received
}

#[tokio::test(start_paused = true)]
async fn the_environment_renames_a_topic_however_the_program_writes_it() {
    let environment = [("LOAFER_TOPICS__FRIEND_CREATED__NAME", "renamed")];
    for topic in ["friend-created", "friend_created", "friend.created"] {
        assert_eq!(renamed(topic, "", &environment).await, 1, "{topic}");
        let file = format!("[topics.\"{topic}\"]\nname = \"other\"");
        assert_eq!(renamed(topic, &file, &environment).await, 1, "{topic}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_file_renames_the_topic_it_names_and_no_other() {
    let file = "[topics.friend-created]\nname = \"renamed\"";
    assert_eq!(renamed("friend-created", file, &[]).await, 1);
    assert_eq!(renamed("friend.created", file, &[]).await, 0);
}

#[test]
fn each_key_of_a_backoff_is_weighed_alone() {
    let weighed = |file: &str, environment: &[(&str, &str)]| {
        let config = Config::parse(file, variables(environment), &["r"])?;
        let backoff = Backoff::new(Duration::from_secs(1))
            .with_max(Duration::from_secs(3))
            .with_jitter(false);
        let route = Route::new("r").options(RouteOptions::new().backoff(backoff));
        let route = route.provider::<Memory>();
        let route = route.handler(Json, async |_: Value| true);
        Manager::builder()
            .config(config)
            .route(route)
            .build()
            .map(|manager| format!("{manager:?}"))
    };
    let of_initial = weighed("", &[("LOAFER_ROUTES__R__BACKOFF__INITIAL", "2s")]).unwrap();
    assert!(
        of_initial.contains("initial: 2s, factor: 2.0, max: 3s, jitter: false"),
        "{of_initial}"
    );
    let of_max = weighed("", &[("LOAFER_ROUTES__R__BACKOFF__MAX", "9s")]).unwrap();
    assert!(
        of_max.contains("initial: 1s, factor: 2.0, max: 9s, jitter: false"),
        "{of_max}"
    );
    let of_file = weighed("[routes.r]\nbackoff = \"2500ms\"", &[]).unwrap();
    assert!(
        of_file.contains("initial: 2.5s, factor: 2.0, max: 3s, jitter: false"),
        "{of_file}"
    );
    // What the code says of `max` holds on: it is no silent cap.
    let capped = weighed("[routes.r]\nbackoff = \"4s\"", &[])
        .unwrap_err()
        .to_string();
    assert!(
        capped.contains("`backoff.max` is below `backoff.initial`"),
        "{capped}"
    );
    let shrinks = weighed("[routes.r.backoff]\nfactor = 0.5", &[])
        .unwrap_err()
        .to_string();
    assert!(shrinks.contains("`backoff.factor` is below 1"), "{shrinks}");
}

#[test]
fn a_first_delay_beyond_fifteen_minutes_is_kept_where_no_longest_is_set() {
    let policy = |file: &str| {
        let config = Config::parse(file, [], &["r"])?;
        let backoff = Backoff::new(Duration::from_secs(1)).with_jitter(false);
        let route = Route::new("r").options(RouteOptions::new().backoff(backoff));
        let route = route.provider::<Memory>();
        let route = route.handler(Json, async |_: Value| true);
        let manager = Manager::builder().config(config).route(route).build();
        manager.map(|manager| format!("{manager:?}"))
    };
    let of_file = policy("[routes.r]\nbackoff = \"1h\"").unwrap();
    assert!(
        of_file.contains("initial: 3600s, factor: 2.0, max: 3600s"),
        "{of_file}"
    );
    let refused = policy("[routes.r]\nbackoff = { initial = \"1h\", max = \"15m\" }");
    let told = refused.unwrap_err().to_string();
    assert!(told.contains("route `r`: `backoff.max` is below"), "{told}");
    let of_code = Backoff::new(Duration::from_secs(3600)).with_jitter(false);
    assert_eq!(of_code.delay(9), Duration::from_secs(3600));
}
