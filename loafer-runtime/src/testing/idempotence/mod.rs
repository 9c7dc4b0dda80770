//! The idempotence test: a service gets its messages more than once, dies at every step, and must come to the same state.

mod check;
mod difference;
mod steps;

use std::{fmt::Debug, future::Future, panic::Location};

use serde_json::Value;

use self::check::{Case, Check};
use super::TestBuilder;
use loafer_core::message::Message;

/// A message for a route of [`assert_idempotent`]: a JSON value with the route's name, `("orders", json!({ … }))`, or any [`Message`] with
/// it, `("orders", message)`.
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

/// Asserts that a service comes to the same state however often its messages are delivered, and wherever its process dies.
///
/// `state` makes what outlives a process (a database, or the fake of one). `service` makes a process that works on it, and is called again
/// when one has died. `found` returns what the state is in the end, as a value that can be compared and shown.
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
///     if !known.contains(&name) { // without this line: "not idempotent: message 1 of 2 … was delivered twice in a row"
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
/// The messages are delivered in order, each after those before it are settled: this gives the expected state. Then each of the following
/// is done on a new state, with the same message ids:
///
/// - each message is delivered twice in a row;
/// - each message is delivered twice at once, and the handlers take turns at every await that waits;
/// - all messages are delivered, and then one of them again; and then all of them again (except those on FIFO queues, whose brokers do
///   neither);
/// - the process dies after a handler, before the broker knows its outcome: once for every settlement, including those of messages that the
///   handlers publish;
/// - the process dies while a handler waits: once for every await at which a handler waited.
///
/// A process that dies is followed by a new one. The new one gets again what was not settled, as another attempt, and then the messages
/// that are left. So the test finds a handler whose memory of handled messages dies with its process.
///
/// # What is not tried
///
/// - An await that does not wait is no step. Those on tokio's locks, channels and timers are made to wait once each (a lock is held
///   meanwhile, so that nobody comes between). The functions of a fake that stands for a database must begin with
///   `tokio::task::yield_now().await`, where the real one would wait. Otherwise a handler runs through them at once, and what goes wrong
///   between them is not found.
/// - Plain functions, and what a handler spawns, are not cut in the middle: they go on.
/// - What is not in `found` is not compared: not even published messages, unless they change it.
/// - Batch handlers get batches of one message, or of the two that are delivered at once, because messages are delivered one after the
///   other.
/// - `on_stop` hooks do not run: a process that dies runs none.
///
/// On a paused clock the test takes no time; each cut handles all messages once more. It also works on a clock that runs, and on a real
/// database.
///
/// # Panics
///
/// If a state differs: the message says what was done, and shows both states line by line. Also if a message is neither acked nor rejected
/// when all goes well, if there is no such route, or if there are more than a thousand steps.
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
