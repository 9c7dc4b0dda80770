//! From an app, routes and configuration to a plan.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc, time::Duration};

use super::{Manager, ManagerBuilder, Plan};
use crate::{
    App, Config, Error, Policy, Route, RouteOptions, Source, config::unknown, extract::RouteName,
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
    } = builder;
    let mut faults = faults(&routes, &app, &only);
    let mut plans = Vec::new();
    for route in routes {
        if !only.is_empty() && !only.iter().any(|name| name == route.name()) {
            continue;
        }
        match plan_route(route, &app, &config) {
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
        config,
        open,
        once,
    })
}

fn plan_route(route: Route, app: &App, config: &Config) -> Result<Plan, String> {
    let name = route.name().to_owned();
    let options = [app.options.get(&name), config.routes.get(&name)];
    let options = options.into_iter().flatten().cloned();
    let options = options.fold(route.options.clone(), |weaker, stronger| {
        weaker.overridden_by(stronger)
    });
    if let Some(fault) = options.fault() {
        return Err(format!("route `{name}`: {fault}"));
    }
    if let Some(fault) = batch_fault(&route, &options, app) {
        return Err(format!("route `{name}`: {fault}"));
    }
    let policy = Policy::resolve(&name, options, config.drain.or(app.drain).unwrap_or(DRAIN));
    let kind = app.provider.unwrap_or(route.broker);
    let broker = app.broker_of(kind);
    let source = Source {
        visibility_timeout: policy.visibility_timeout,
        app: config.app.clone(),
        ..Source::new(&name, &policy.queue)
    };
    let provider = broker
        .provider(&source)
        .map_err(|error| format!("route `{name}`: {error}"))?;
    let names = RouteName {
        route: name.as_str().into(),
        queue: policy.queue.as_str().into(),
        handler: route.handler,
    };
    Ok(Plan {
        policy,
        names: Arc::new(names),
        kind,
        broker,
        provider,
        route,
    })
}

/// What does not go together with batches, or is for batches only.
fn batch_fault(route: &Route, options: &RouteOptions, app: &App) -> Option<String> {
    if route.batches {
        // A layer sees one request a call, and answers it with one verdict.
        return (!app.layers_of(route.name()).is_empty()).then(|| {
            format!(
                "layers go around one message at a time, and its handler `{}` takes batches: give the layers to the other routes, as `app.layer_for(ROUTE, layer)`, or let the handler take single messages",
                route.handler
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
        route.handler
    ))
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
        if let [_, _, ..] = same.as_slice() {
            let handlers = same
                .iter()
                .map(|route| format!("`{}` ({}:{})", route.handler, route.place.0, route.place.1));
            let handlers = handlers.collect::<Vec<_>>().join(" and ");
            faults.push(format!(
                "route `{name}` has {} handlers, {handlers}: give each a route of its own",
                same.len()
            ));
        }
    }
    for name in only.iter().map(String::as_str).chain(app.named_routes()) {
        if !names.contains(&name) {
            faults.push(unknown(name, &names, "", "route"));
        }
    }
    faults
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
