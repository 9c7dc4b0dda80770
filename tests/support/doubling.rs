//! A route that doubles numbers on request, and one that asks for them: what the tests of a broker's requests stand on.

use std::time::Duration;

use loafer_core::{Error, message::Message, outcome::Outcome, translate::Json};
use loafer_runtime::{
    bus::{Bus, Replier},
    program::{Ended, Route, Running},
};
use tokio::{sync::mpsc, time::timeout};

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) type Told<T> = mpsc::UnboundedReceiver<T>;
pub(crate) type Answers = Told<Result<u64, String>>;

/// Doubles numbers; rejects 13. Tells of each request.
pub(crate) fn doubling(route: Route) -> (Route, Told<Message>) {
    let (tell, told) = mpsc::unbounded_channel();
    let handler = move |number: u64, request: Message, replier: Replier| {
        let tell = tell.clone();
        async move {
            tell.send(request).unwrap();
            if number == 13 {
                let reason = "unlucky".into();
                return Ok(Outcome::Reject { reason });
            }
            replier.reply(&(2 * number)).await?;
            Ok::<_, Error>(Outcome::Ack)
        }
    };
    (route.replying().handler(Json, handler), told)
}

/// Asks for the double of each number it is sent at the topic `whom`, and sends on what it was answered.
pub(crate) fn asking(route: Route, whom: String) -> (Route, Answers) {
    let (tell, told) = mpsc::unbounded_channel();
    let handler = move |number: u64, bus: Bus| {
        let (tell, whom) = (tell.clone(), whom.clone());
        async move {
            let answer = bus.request::<u64>(whom, &number, PATIENCE).await;
            tell.send(answer.map_err(|error| error.to_string())).is_ok()
        }
    };
    (route.handler(Json, handler), told)
}

/// Returns the next value.
pub(crate) async fn next<T>(told: &mut Told<T>) -> T {
    let next = timeout(PATIENCE, told.recv()).await;
    next.unwrap().unwrap()
}

pub(crate) async fn stop(running: Running) {
    running.shutdown();
    assert_eq!(running.ended().await, Ended::Clean);
}
