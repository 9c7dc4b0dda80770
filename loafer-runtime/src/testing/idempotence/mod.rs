//! The test of idempotence: a service gets its messages more than once, dies at every step, and is to come to the same state.

mod check;
mod difference;
mod steps;

use std::{fmt::Debug, future::Future, panic::Location};

use serde_json::Value;

use self::check::{Case, Check};
use super::TestBuilder;
use loafer_core::message::Message;

/// A message for a route of [`assert_idempotent`]: a JSON value with the route's name, `("orders", json!({ … }))`, or any [`Message`], `("orders", message)`.
#[derive(Clone, Debug)]
pub struct Given {
    route: String,
    message: Message,
}

impl<R: Into<String>> From<(R, Message)> for Given {
    fn from((route, message): (R, Message)) -> Self {
        let route = route.into();
        Self { route, message }
    }
}

impl<R: Into<String>> From<(R, Value)> for Given {
    fn from((route, value): (R, Value)) -> Self {
        Self::from((route, Message::new(value.to_string())))
    }
}

/// A service comes to the same state however often its messages come, and wherever it dies.
///
/// `state` makes what lasts beyond a process (a database, or the fake of one); `service` makes a process that works on it, and is asked again
/// when one has died; `found` says what the state has come to, as something that can be compared and shown.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use loafer::{Json, Route, State, testing};
/// use serde_json::json;
///
/// #[derive(Clone, Default)]
/// struct Names {
///     known: Arc<Mutex<Vec<String>>>,
/// }
///
/// async fn friend_created(name: String, names: State<Names>) -> bool {
///     let mut known = names.known.lock().unwrap();
///     if !known.contains(&name) { // without this line: "not idempotent: message 1 of 2 … came twice in a row"
///         known.push(name);
///     }
///     true
/// }
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// testing::assert_idempotent(
///     async || Names::default(),
///     async |names: &Names| testing::app().state(names.clone())
/// #       .route(Route::new("friend-created").handler(Json, friend_created)),
///     [("friend-created", json!("ana")), ("friend-created", json!("bea"))],
///     async |names: &Names| names.known.lock().unwrap().clone(),
/// )
/// .await;
/// # }
/// ```
///
/// # What is tried
///
/// The messages come in order, each once those before are settled: that gives the state expected. Then, each time on a new state and with the same message ids:
///
/// - each message twice in a row;
/// - each message twice at once, the handlers taking turns at every await that waits;
/// - all messages, then one of them again, and then all of them (but for those on FIFO queues, whose brokers do neither);
/// - the process dies after a handler, before its outcome is told: once for every settlement, those of messages that the handlers publish included;
/// - the process dies while a handler waits: once for every await at which one did.
///
/// A process that dies is followed by a new one, which gets again what was not settled, as another attempt, and then the messages still to come. A memory of
/// handled messages that dies with its process is found out.
///
/// # What is not
///
/// - An await that does not wait is no step. Those on tokio's locks, channels and timers are made to wait once each (a lock while it is held, so that nobody comes
///   between). The functions of a fake that stands for a database say `tokio::task::yield_now().await` first, where the real one would wait: without it a
///   handler runs through them in one go, and what goes wrong between them is not found.
/// - Plain functions, and what a handler spawns, are not cut in the middle: they go on.
/// - What is not in `found` is not compared: published messages neither, unless they change it.
/// - Batch handlers get batches of one message, or of the two that come at once: the messages come one after the other.
/// - `on_stop` hooks are left out: a process that dies runs none.
///
/// On a paused clock it takes no time; each cut handles all messages once more. It works on a clock that runs, too: on a real database.
///
/// # Panics
///
/// Where a state differs: with what was done, and both states line by line. Where a message is neither acked nor rejected when all goes well, where there is no
/// such route, or where there are more than a thousand steps.
#[track_caller]
pub fn assert_idempotent<S, V, M>(
    state: impl AsyncFn() -> S,
    service: impl AsyncFn(&S) -> TestBuilder,
    messages: impl IntoIterator<Item = M>,
    found: impl AsyncFn(&S) -> V,
) -> impl Future<Output = ()>
where
    V: PartialEq + Debug,
    M: Into<Given>,
{
    let check = Check {
        state,
        service,
        found,
        messages: messages.into_iter().map(Into::into).collect(),
        caller: Location::caller(),
    };
    async move {
        let expected = check.plain().await;
        for number in 0..check.messages.len() {
            check.compare(&expected, Case::Repeated(number)).await;
            check.compare(&expected, Case::AtOnce(number)).await;
            check.compare(&expected, Case::Late(number)).await;
        }
        check.compare(&expected, Case::AllAgain).await;
        check.cuts(&expected).await;
    }
}
