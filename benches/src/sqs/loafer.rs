//! Loafer's loop: a route on SQS.

use std::{sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use aws_config::SdkConfig;
use loafer_core::{App, Ended, Json, Manager, Route, RouteOptions, Running};
use loafer_sqs::Sqs;

use super::{
    Event, Seen,
    meter::{Meter, Run},
    proxy::Proxy,
};

/// The route.
const ROUTE: &str = "bench";
/// How often its counts are read.
const LOOK: Duration = Duration::from_millis(2);

/// Consumes the queue, until every message is acked.
///
/// # Errors
///
/// Where it does not start, or a message was received twice.
pub async fn consume(
    proxy: &Proxy,
    config: SdkConfig,
    queue: &str,
    concurrency: usize,
    seen: &Arc<Seen>,
) -> Result<Run> {
    let handler = {
        let seen = seen.clone();
        move |event: Event| {
            let seen = seen.clone();
            async move { seen.handle(&event).await }
        }
    };
    let options = RouteOptions::new().queue(queue).concurrency(concurrency);
    let route = Route::new(ROUTE)
        .provider::<Sqs>()
        .options(options)
        .handler(Json, handler);
    let app = App::new().broker(Sqs::with_config(config));
    let manager = Manager::builder().app(app).route(route).build()?;

    let meter = Meter::start(proxy);
    let running = manager.start().await?;
    while acked(&running) < seen.messages() as u64 {
        tokio::time::sleep(LOOK).await;
    }
    let run = meter.stop();

    running.shutdown();
    let ended = running.ended().await;
    ensure!(ended == Ended::Clean, "the route did not end clean");
    let received = running.stats(ROUTE).unwrap_or_default().received;
    ensure!(
        received == seen.messages() as u64,
        "{} messages were sent, {received} received",
        seen.messages()
    );
    seen.check()?;
    Ok(run)
}

fn acked(running: &Running) -> u64 {
    running.stats(ROUTE).unwrap_or_default().acked
}
