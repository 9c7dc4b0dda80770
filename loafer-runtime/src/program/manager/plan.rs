//! From an app, routes and configuration to a plan.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::Arc,
    time::Duration,
};

use super::{Manager, ManagerBuilder, Plan, PlannedHandler, topics};
use crate::{
    bus::form,
    program::{
        App, BrokerKind, Config, Route, RouteOptions,
        broker_table::BrokerTable,
        instances::{Instance, Instances},
    },
};
use loafer_core::{
    Error,
    broker::{Settings, Source},
    extract::RouteName,
    policy::unknown,
};

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
        longest_poll,
    } = builder;
    let mut app = app;
    if let Some(most) = config.max_unpacked_bytes {
        app = app.max_unpacked_bytes(most);
    }
    let mut faults = faults(&routes, &app, &only);
    let default = default_kind(&app);
    let kinds = routes.iter().filter_map(|route| route.broker);
    let (mut instances, strange) = Instances::new(&mut app, &config, kinds.chain(default));
    faults.extend(strange);
    let (topics, strange) = topics::brokers(&app, &config, &mut instances);
    faults.extend(strange);
    let mut plans = Vec::new();
    let stand_in = app
        .provider
        .as_deref()
        .map_or(Ok(()), |name| instances.check(name));
    let routes = match stand_in {
        Ok(()) => by_name(routes),
        Err(fault) => {
            faults.push(fault);
            Vec::new()
        }
    };
    for routes in routes {
        if !only.is_empty() && !only.iter().any(|name| name == routes[0].name()) {
            continue;
        }
        match plan_route(routes, &app, &config, default, &mut instances) {
            Ok(plan) => plans.push(plan),
            Err(fault) => faults.push(fault),
        }
    }
    if app.provider.is_none() {
        // A broker that no route runs on is made all the same: it may be published to, and what is wrong with it is said.
        let named = instances.named();
        faults.extend(named.iter().filter_map(|name| instances.get(name).err()));
    }
    plans.sort_by(|a, b| a.policy.route.cmp(&b.policy.route));
    if let Some(error) = combined(faults) {
        return Err(error);
    }
    Ok(Manager {
        app,
        plans,
        instances,
        topics,
        config,
        open,
        once,
        longest_poll,
        default,
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

/// The kind of broker of routes that name none: the program's default, else the only kind that code gave a value of.
fn default_kind(app: &App) -> Option<BrokerKind> {
    app.default_provider.or_else(|| {
        let mut given = app.brokers.values().map(|(kind, _)| *kind);
        let first = given.next()?;
        given.all(|kind| kind == first).then_some(first)
    })
}

pub(super) fn plan_route(
    routes: Vec<Route>,
    app: &App,
    config: &Config,
    default: Option<BrokerKind>,
    instances: &mut Instances,
) -> Result<Plan, String> {
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
    let own = routes[0].broker.or(default);
    let wanted = instance(&options, own, app).ok_or_else(|| at_route(NO_PROVIDER.to_owned()))?;
    instances.check(wanted).map_err(at_route)?;
    // What is wrong with a broker is said once, and not of each route.
    let instance = instances.get(wanted)?;
    let stands_in = app.provider.is_some() && instance.kind.stands_in();
    let home = home(&options, own, instances).unwrap_or(instance.kind);
    let broker_options =
        broker_options(&name, &options, home, &instance, stands_in).map_err(at_route)?;
    let enabled = options.enabled.unwrap_or(true);
    let consumer = options.consumer.take();
    let consumer = consumer.or_else(|| instances.app().map(str::to_owned));
    let named = options.queue.is_some();
    // A stand-in keeps the names that queues have where the service runs.
    let naming = if stands_in { home } else { instance.kind };
    let queue = || naming.queue_name(&name, consumer.as_deref());
    options.queue.get_or_insert_with(queue);
    let topics = options.topics.take();
    let drain = config.drain.or(app.drain).unwrap_or(DRAIN);
    let policy = options.resolve(&name, drain);
    let mut source = Source::new(&name, &policy.queue);
    let topics = topics.unwrap_or_else(|| name.as_str().into());
    let called = |of: &String| match instance.kind.stands_in() {
        true => of.clone(),
        false => topic(of, config),
    };
    source.topics = topics.as_slice().iter().map(called).collect();
    source.translators = translators(&routes);
    source.consumer = consumer;
    source.named = named;
    source.policy = policy.clone();
    // Brokers that push need to know how many messages the handlers hold at once.
    let batches = routes.iter().any(|route| route.batches);
    source.policy.batch = batches.then(|| policy.messages_a_call());
    let provider = instance
        .broker
        .provider(&source, &broker_options)
        .map_err(|error| at_route(error.to_string()))?;
    let (route, queue): (Arc<str>, Arc<str>) = (name.as_str().into(), policy.queue.as_str().into());
    let handlers = routes.into_iter().zip(timeouts).map(|(from, timeout)| {
        let broker = instance.name.clone();
        PlannedHandler {
            names: Arc::new(RouteName::new(
                route.clone(),
                queue.clone(),
                &*from.handler,
                broker,
            )),
            timeout,
            route: from,
        }
    });
    Ok(Plan {
        handlers: handlers.collect(),
        policy,
        enabled,
        instance: instance.clone(),
        source,
        options: broker_options,
        provider,
    })
}

const NO_PROVIDER: &str = "it names no provider, and the program has no default: name one with `Route::provider::<B>()`, or give `App::default_provider`";

/// The broker that a route runs on, by its name: the one that takes the place of all, else the one its configuration names, else the first of
/// its kind.
fn instance<'n>(
    options: &'n RouteOptions,
    own: Option<BrokerKind>,
    app: &'n App,
) -> Option<&'n str> {
    let configured = app.provider.as_deref().or(options.broker.as_deref());
    configured.or_else(|| Some(own?.name()))
}

/// The kind of broker that a route would run on if none took the place of all.
fn home(
    options: &RouteOptions,
    own: Option<BrokerKind>,
    instances: &Instances,
) -> Option<BrokerKind> {
    let named = options.broker.as_deref();
    named.and_then(|name| instances.kind(name)).or(own)
}

/// A route's options of its broker. Those of another kind are an error, unless memory stands in for the broker that they are for.
fn broker_options(
    route: &str,
    options: &RouteOptions,
    home: BrokerKind,
    instance: &Instance,
    stands_in: bool,
) -> Result<Settings, String> {
    let given = &options.options;
    if let Some(fault) = given.fault() {
        return Err(format!("its options {fault}"));
    }
    let kind = instance.kind.name();
    let meant = given.kind().unwrap_or(home.name());
    match given.first_key() {
        Some(_) if meant != kind && stands_in => Ok(BrokerTable::default().section(route)),
        Some(key) if meant != kind => Err(format!(
            "its options, for example `{key}`, are those of a broker of kind `{meant}`, and it runs on `{}` of kind `{kind}`: leave them out, or move the route back",
            instance.name
        )),
        _ => Ok(given.section(route)),
    }
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

/// The translators of the handlers of a route, each once.
fn translators(routes: &[Route]) -> Vec<String> {
    let all: BTreeSet<_> = routes.iter().map(|route| route.translator).collect();
    all.into_iter().map(str::to_owned).collect()
}

/// The handlers, and where they stand.
fn places<'r>(routes: impl IntoIterator<Item = &'r Route>) -> String {
    let places = routes.into_iter().map(|route| {
        format!(
            "`{}` ({}:{})",
            route.handler, route.location.0, route.location.1
        )
    });
    places.collect::<Vec<_>>().join(" and ")
}

/// What does not go together with batches, or is for batches only.
fn batch_fault(routes: &[Route], options: &RouteOptions, app: &App) -> Option<String> {
    if let Some(route) = routes.iter().find(|route| route.batches) {
        let handler = &route.handler;
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
    if let Some(other) = routes.iter().find(|route| route.broker != routes[0].broker) {
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
