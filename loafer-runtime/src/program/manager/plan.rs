//! From an app, routes and configuration to a plan.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc, time::Duration};

use super::{Manager, ManagerBuilder, Plan, PlannedHandler, topics};
use crate::{
    bus::form,
    program::{App, BrokerKind, Config, Route, RouteOptions},
};
use loafer_core::{Error, broker::Source, extract::RouteName, policy::unknown};

/// How long running handlers get at shutdown, where nothing else is said: Kubernetes kills after 30 s.
const DRAIN: Duration = Duration::from_secs(25);

pub(super) fn plan(builder: ManagerBuilder) -> Result<Manager, Error> {
    let ManagerBuilder {
        app,
        routes,
        config,
        only,
        open,
        once,
    } = builder;
    let mut faults = faults(&routes, &app, &only);
    let (topics, strange) = topics::brokers(&routes, &app, &config);
    faults.extend(strange);
    faults.extend(configure(&routes, &topics, &app, &config));
    let mut plans = Vec::new();
    for routes in by_name(routes) {
        if !only.is_empty() && !only.iter().any(|name| name == routes[0].name()) {
            continue;
        }
        match plan_route(routes, &app, &config) {
            Ok(plan) => plans.push(plan),
            Err(fault) => faults.push(fault),
        }
    }
    plans.sort_by(|a, b| a.policy.route.cmp(&b.policy.route));
    if let Some(error) = combined(faults) {
        return Err(error);
    }
    Ok(Manager {
        app,
        plans,
        topics,
        config,
        open,
        once,
    })
}

/// The handlers of each route.
fn by_name(routes: Vec<Route>) -> Vec<Vec<Route>> {
    let mut by_name: BTreeMap<String, Vec<Route>> = BTreeMap::new();
    for route in routes {
        by_name
            .entry(route.name().to_owned())
            .or_default()
            .push(route);
    }
    by_name.into_values().collect()
}

fn plan_route(routes: Vec<Route>, app: &App, config: &Config) -> Result<Plan, String> {
    let name = routes[0].name().to_owned();
    let at_route = |fault: String| format!("route `{name}`: {fault}");
    let stronger = [app.options.get(&name), config.routes.get(&name)];
    let stronger = stronger.into_iter().flatten().cloned();
    let stronger = stronger.fold(RouteOptions::new(), RouteOptions::overridden_by);
    let mut options = shared_options(&routes)
        .map_err(at_route)?
        .overridden_by(stronger.clone());
    let timeouts: Vec<_> = routes
        .iter()
        .map(|route| stronger.timeout.or(route.options.timeout))
        .collect();
    options.timeout = timeouts.iter().copied().flatten().max();
    if let Some(fault) = options.fault() {
        return Err(at_route(fault.to_owned()));
    }
    if let Some(fault) = batch_fault(&routes, &options, app) {
        return Err(at_route(fault));
    }
    let own = routes[0].broker;
    let kind = app.provider.unwrap_or(own);
    let topology = options.topology();
    if let Some(key) = topology.first_key().filter(|_| !own.topology) {
        return Err(at_route(format!(
            "`{key}` is set, and its broker `{}` has no exchanges: leave it out",
            own.name
        )));
    }
    let app_name = app_name(app, config);
    let named = options.queue.is_some();
    options
        .queue
        .get_or_insert_with(|| (own.queue_name)(&name, app_name.as_deref()));
    let policy = options.resolve(&name, config.drain.or(app.drain).unwrap_or(DRAIN));
    let broker = app.broker_of(kind);
    let mut source = Source::new(&name, &policy.queue);
    source.visibility_timeout = policy.visibility_timeout;
    source.topic = topic(&name, config);
    source.translator = shared_translator(&routes).to_owned();
    source.app = app_name;
    source.named = named;
    source.topology = topology;
    let provider = broker
        .provider(&source)
        .map_err(|error| at_route(error.to_string()))?;
    let (route, queue): (Arc<str>, Arc<str>) = (name.as_str().into(), policy.queue.as_str().into());
    let handlers = routes.into_iter().zip(timeouts).map(|(from, timeout)| {
        let names = RouteName::new(route.clone(), queue.clone(), from.handler, kind.name());
        PlannedHandler {
            names: Arc::new(names),
            timeout,
            route: from,
        }
    });
    Ok(Plan {
        handlers: handlers.collect(),
        policy,
        kind,
        broker,
        source,
        provider,
    })
}

/// Tells the brokers of the routes what the configuration says of them; says what of it is wrong.
fn configure(
    routes: &[Route],
    topics: &BTreeMap<String, BrokerKind>,
    app: &App,
    config: &Config,
) -> Vec<String> {
    let mut kinds: Vec<BrokerKind> = Vec::new();
    let routes = routes.iter().map(|route| route.broker);
    let used = routes.chain(topics.values().copied());
    for kind in used.chain(app.provider).chain(app.default_provider) {
        if !kinds.iter().any(|known| known.name == kind.name) {
            kinds.push(kind);
        }
    }
    let name = app_name(app, config);
    // The environment writes `_` for `-`.
    let called = |kind: &BrokerKind, section: &str| form(kind.name) == form(section);
    let sections = || config.brokers.iter();
    let unread = sections()
        .filter(|(section, _)| !kinds.iter().any(|kind| called(kind, section)))
        .map(|(section, _)| {
            let brokers = kinds.iter().map(|kind| kind.name);
            let known: Vec<&str> = ["routes", "topics"].into_iter().chain(brokers).collect();
            format!(
                "{}; it stands in `loafer.toml` as `[{section}]`, or in the environment as `LOAFER_{}__…`",
                unknown(section, &known, "", "section"),
                form(section)
            )
        });
    // A broker that another one stands in for is not asked for, and need not be able to run.
    let told = kinds
        .iter()
        .filter(|kind| app.provider.is_none_or(|instead| instead.name == kind.name))
        .filter_map(|kind| {
            let settings = sections().find(|(section, _)| called(kind, section));
            let settings = settings.map(|(_, settings)| settings);
            let told = app.configure(*kind, settings, name.as_deref());
            Some(told.err()?.to_string())
        });
    unread.chain(told).collect()
}

/// What the app is called.
fn app_name(app: &App, config: &Config) -> Option<String> {
    config.app.clone().or_else(|| app.name.clone())
}

/// The options that the handlers of a route have in common: what one sets holds for all, what two set must agree.
fn shared_options(routes: &[Route]) -> Result<RouteOptions, String> {
    let mut shared = RouteOptions::new();
    for route in routes {
        let own = RouteOptions {
            timeout: None,
            ..route.options.clone()
        };
        shared = shared.joined(own).map_err(|key| {
            format!(
                "its handlers set `{key}` to different values, {}: a route has one; set it at one of them",
                places(routes)
            )
        })?;
    }
    Ok(shared)
}

/// The translator that all handlers of a route have; nothing where they differ.
fn shared_translator(routes: &[Route]) -> &'static str {
    let first = routes[0].translator;
    let same = routes.iter().all(|route| route.translator == first);
    if same { first } else { "" }
}

/// The handlers, and where they stand.
fn places<'r>(routes: impl IntoIterator<Item = &'r Route>) -> String {
    let places = routes
        .into_iter()
        .map(|route| format!("`{}` ({}:{})", route.handler, route.place.0, route.place.1));
    places.collect::<Vec<_>>().join(" and ")
}

/// What does not go together with batches, or is for batches only.
fn batch_fault(routes: &[Route], options: &RouteOptions, app: &App) -> Option<String> {
    if let Some(route) = routes.iter().find(|route| route.batches) {
        let handler = route.handler;
        if routes.len() > 1 || route.on.is_some() {
            return Some(format!(
                "its handler `{handler}` takes batches, so it takes every message: give it a route of its own, without `on`"
            ));
        }
        // A layer sees one request a call, and answers it with one verdict.
        return (!app.layers_of(route.name()).is_empty()).then(|| {
            format!(
                "layers go around one message at a time, and its handler `{handler}` takes batches: give the layers to the other routes, as `app.layer_for(ROUTE, layer)`, or let the handler take single messages"
            )
        });
    }
    let key = match (options.batch, options.linger) {
        (Some(_), _) => "batch",
        (_, Some(_)) => "linger",
        _ => return None,
    };
    Some(format!(
        "`{key}` is set, and its handler `{}` takes one message at a time: leave `{key}` out, or take a `Batch<T>` of messages as the first argument",
        routes[0].handler
    ))
}

/// What the configuration calls the topic of a route's name.
fn topic(route: &str, config: &Config) -> String {
    let form = form(route);
    let named = |wanted: &str| config.topic_names().find(|(topic, _)| topic == wanted);
    let named = named(route).or_else(|| named(&form));
    named.map_or_else(|| route.to_owned(), |(_, name)| name)
}

/// What is wrong with the routes as a whole.
fn faults(routes: &[Route], app: &App, only: &[String]) -> Vec<String> {
    if routes.is_empty() {
        return vec![
            "there are no handlers. Annotate an async fn with `#[handler(route = \"…\")]`; where the handlers live in a library, \
             name its crate: `loafer::main!(handlers = [my_service])`, or `use my_service as _;` in a test"
                .to_owned(),
        ];
    }
    let mut faults = Vec::new();
    let mut by_name: BTreeMap<&str, Vec<&Route>> = BTreeMap::new();
    for route in routes {
        by_name.entry(route.name()).or_default().push(route);
    }
    let names: Vec<&str> = by_name.keys().copied().collect();
    for (name, same) in &by_name {
        faults.extend(handlers_fault(name, same));
    }
    for name in only.iter().map(String::as_str).chain(app.named_routes()) {
        if !names.contains(&name) {
            faults.push(unknown(name, &names, "", "route"));
        }
    }
    faults
}

/// Why these can't share a route, if they can't.
fn handlers_fault(name: &str, routes: &[&Route]) -> Option<String> {
    let same = |of: &dyn Fn(&Route) -> bool| -> Vec<&Route> {
        routes.iter().copied().filter(|route| of(route)).collect()
    };
    if let Some(other) = routes
        .iter()
        .find(|route| route.broker.id != routes[0].broker.id)
    {
        let both = places([routes[0], other]);
        return Some(format!(
            "route `{name}` has handlers on two providers, {both}: a route has one; give each a route of its own"
        ));
    }
    let greedy = same(&|route| route.on.is_none());
    if greedy.len() > 1 {
        return Some(format!(
            "route `{name}` has {} handlers that take every message, {}: say which messages each takes, as `on = \"order.*\"`, or give each a route of its own",
            greedy.len(),
            places(greedy)
        ));
    }
    routes.iter().find_map(|route| {
        let on = route.on.as_ref()?;
        let rivals = same(&|other| other.on.as_ref() == Some(on));
        (rivals.len() > 1).then(|| {
            format!(
                "route `{name}` has {} handlers for `{on}`, {}: let each take other messages, or give each a route of its own",
                rivals.len(),
                places(rivals)
            )
        })
    })
}

/// All reasons in one error, each once.
pub(super) fn combined(mut faults: Vec<String>) -> Option<Error> {
    let mut seen = Vec::new();
    faults.retain(|fault| {
        !seen.contains(fault) && {
            seen.push(fault.clone());
            true
        }
    });
    match faults.as_slice() {
        [] => None,
        [fault] => Some(Error::Start(fault.clone())),
        many => {
            let mut text = format!("{} reasons:", many.len());
            for fault in many {
                _ = write!(text, "\n  - {fault}");
            }
            Some(Error::Start(text))
        }
    }
}
