//! Options of another kind of broker than the one that a route runs on.

use loafer_core::{
    Error,
    broker::{Broker, NoOptions, Source},
    translate::Json,
};
use loafer_memory::{Memory, MemoryProvider, MemoryPublisher};
use loafer_runtime::program::{App, BrokerKind, Route, RouteOptions};
use serde_json::Value;

use crate::exchanges::{
    Exchanges, Options, Plain, fault, in_kit, in_memory, of_broker, plan, route,
};

/// Memory as yet another kind of broker, with the same options.
#[derive(Default)]
struct Other(Memory);

impl Broker for Other {
    type Provider = MemoryProvider;
    type Publisher = MemoryPublisher;
    type Options = Options;
    const KIND: &'static str = "other";

    fn provider(&self, source: &Source, _: &Options) -> Result<MemoryProvider, Error> {
        self.0.provider(source, &NoOptions {})
    }

    fn publisher(&self) -> MemoryPublisher {
        self.0.publisher()
    }
}

const BY_FILE: &str = "[routes.orders.options]\nexchange = \"event\"";

fn by_code() -> RouteOptions {
    of_broker(Options::default().exchange("event"))
}

#[test]
fn options_of_a_broker_that_the_route_has_left_are_an_error_that_names_both() {
    let app = || App::new().broker(Plain::default());
    let on_plain = "[routes.orders]\nbroker = \"plain\"";
    let told = "route `orders`: its options, for example `exchange`, are those of a broker of kind `ex-changes`, and it runs on `plain` of kind `plain`: leave them out, or move the route back";
    let routes = || vec![route("orders", by_code())];
    assert_eq!(fault(app(), on_plain, &[], routes()), told);
    // Nor does it help that the configuration sets some of them.
    let file = format!("{on_plain}\noptions = {{ exchange = \"news\" }}");
    assert_eq!(fault(app(), &file, &[], routes()), told);
    // As if all routes had left.
    assert_eq!(fault(app().provider("plain"), "", &[], routes()), told);
    let routes = || vec![route("orders", RouteOptions::new())];
    assert_eq!(fault(app().provider("plain"), BY_FILE, &[], routes()), told);
}

#[test]
fn options_that_the_configuration_alone_sets_are_for_the_broker_it_names() {
    let app = || App::new().brokers([BrokerKind::of::<Exchanges>()]);
    let moved = || {
        let route = Route::new("orders").provider::<Plain>();
        vec![route.handler(Json, async |_: Value| true)]
    };
    let file = "[routes.orders]\nbroker = \"ex-changes\"\noptions = { exchange = \"event\" }";
    plan(app(), file, &[], moved()).unwrap();
    // The broker itself says what it does not know.
    let told = "route `orders`: unknown key `routes.orders.options.exchange`: the broker knows no key here; leave it out";
    assert_eq!(fault(app(), BY_FILE, &[], moved()), told);
}

#[tokio::test(start_paused = true)]
async fn options_of_another_kind_are_ignored_where_memory_stands_in() {
    plan(in_memory(), BY_FILE, &[], vec![route("orders", by_code())]).unwrap();
    let file = "[routes.orders]\nbroker = \"legacy\"\noptions = { url = 1 }\n[brokers.legacy]\nkind = \"plain\"";
    let brokers = || in_memory().brokers([BrokerKind::of::<Plain>()]);
    let routes = || vec![route("orders", RouteOptions::new())];
    plan(brokers(), file, &[], routes()).unwrap();
    in_kit(vec![route("orders", by_code())]).start().await;
}

#[test]
fn memory_has_no_options_of_its_own() {
    let on_memory = |app: App| {
        let route = route("orders", RouteOptions::new()).provider::<Memory>();
        fault(app, BY_FILE, &[], vec![route])
    };
    let told = "route `orders`: unknown key `routes.orders.options.exchange`: the broker knows no key here; leave it out";
    assert_eq!(on_memory(App::new()), told);
    assert_eq!(on_memory(in_memory()), told);
}

#[test]
fn options_of_two_kinds_are_an_error() {
    let other = Options::default().binding("a");
    let other = RouteOptions::new().broker_options::<Other>(other);
    let app = App::new().options("orders", other);
    assert_eq!(
        fault(app, "", &[], vec![route("orders", by_code())]),
        "route `orders`: its options are those of two kinds of brokers, `ex-changes` and `other`: keep those of the one it runs on"
    );
    // What sets nothing is of no kind.
    let nothing = RouteOptions::new().broker_options::<Other>(Options::default());
    let app = App::new().options("orders", nothing.clone());
    plan(app, "", &[], vec![route("orders", by_code())]).unwrap();
    let app = App::new().brokers([BrokerKind::of::<Exchanges>()]);
    let moved = vec![route("orders", nothing).provider::<Other>()];
    let file = format!("[routes.orders]\nbroker = \"ex-changes\"\n{BY_FILE}");
    plan(app, &file, &[], moved).unwrap();
}
