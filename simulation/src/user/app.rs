//! The app of a run: its routes with their handlers, as the scenario plans them.

use std::{sync::Arc, time::Duration};

use loafer_core::{
    Error,
    extract::{Batch, Metadata},
    policy::{Backoff, GroupBy, Selector, Undecodable, Unmatched},
    translate::Json,
};
use loafer_runtime::program::{App, Manager, Route, RouteOptions};

use super::{
    call::{BatchCall, Call, Consultation},
    layers::Whimsical,
};
use crate::{
    Millis,
    ledger::{DeliveryId, Event},
    scenario::{RoutePlan, Unhandled},
    world::{Simulated, World},
};

/// The payload of a message: its number, and the number of its delivery.
type Payload = (usize, DeliveryId);

/// Returns the number of the delivery, which stands last in its payload.
pub(super) fn delivery_of(payload: &[u8]) -> Option<DeliveryId> {
    let text = std::str::from_utf8(payload).ok()?;
    let last = text.trim_end_matches(']').rsplit([',', ' ']).next()?;
    last.parse().ok()
}

/// Returns the app of this world, not started yet. `once` says that it receives once and ends.
///
/// # Errors
///
/// If the scenario is no valid app.
pub fn manager(world: &Arc<World>, once: bool) -> Result<Manager, Error> {
    let scenario = &world.scenario;
    let mut app = App::new()
        .broker(Simulated::of(world.clone()))
        .drain(millis(scenario.drain));
    let mut routes = Vec::new();
    for plan in &scenario.routes {
        let name = format!("r{}", plan.number);
        app = app.options(name.clone(), options(plan));
        if plan.layers {
            app = app.layer_for(name.clone(), Whimsical(world.clone()));
        }
        match plan.choice {
            true => {
                for taker in ["a", "b"] {
                    let on = Selector::header("taker", taker);
                    routes.push(route(world, plan, name.clone()).on(on));
                }
            }
            false => routes.push(route(world, plan, name)),
        }
    }
    let builder = Manager::builder().app(app).once(once);
    let builder = routes
        .into_iter()
        .fold(builder, |builder, it| builder.route(it));
    builder.build()
}

fn millis(millis: Millis) -> Duration {
    Duration::from_millis(millis)
}

fn options(plan: &RoutePlan) -> RouteOptions {
    let mut options = RouteOptions::new()
        .concurrency(plan.concurrency)
        .undecodable(match plan.rejects_undecodable {
            true => Undecodable::Reject,
            false => Undecodable::Retry,
        })
        .unmatched(match plan.unmatched {
            Unhandled::Retry => Unmatched::Retry,
            Unhandled::Reject => Unmatched::Reject,
            Unhandled::Ignore => Unmatched::Ignore,
        });
    if let Some(prefetch) = plan.prefetch {
        options = options.prefetch(prefetch);
    }
    if let Some((most, linger)) = plan.batch {
        options = options.batch(most).linger(millis(linger));
    }
    if plan.group_by {
        options = options.group_by(GroupBy::GROUP);
    }
    if let Some(timeout) = plan.timeout {
        options = options.timeout(millis(timeout));
    }
    if let Some(attempts) = plan.max_attempts {
        options = options.max_attempts(attempts);
    }
    if let Some(deliveries) = plan.max_deliveries {
        options = options.max_deliveries(deliveries);
    }
    if let Some(backoff) = plan.backoff {
        let delays = Backoff::new(millis(backoff.initial))
            .with_max(millis(backoff.most.max(backoff.initial)))
            .with_jitter(backoff.jitter);
        options = options.backoff(delays);
    }
    options
}

fn route(world: &Arc<World>, plan: &RoutePlan, name: String) -> Route {
    let route = Route::new(name).provider::<Simulated>();
    let handlers = world.clone();
    let route = match plan.batch {
        None => route.handler(Json, move |(_, id): Payload, metadata: Metadata| {
            Call::of(&handlers, (id, metadata.attempt()))
        }),
        Some(_) => route.batch_handler(Json, move |batch: Batch<Payload>| {
            let tries = batch.iter().map(|item| (item.1, item.metadata().attempt()));
            BatchCall::of(&handlers, &tries.collect::<Vec<_>>())
        }),
    };
    if !plan.on_error {
        return route;
    }
    let world = world.clone();
    route.on_error(move |failure| {
        let id = delivery_of(failure.message().payload()).unwrap_or_default();
        let attempt = failure.message().attempt();
        world.tried(id, attempt);
        world.record(Event::Consulted(id));
        Consultation::of(&world, (id, attempt))
    })
}
