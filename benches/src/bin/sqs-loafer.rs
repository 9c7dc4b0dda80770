//! Loafer in the SQS bench: a service as users write it, with its command line and its logs.

use std::{convert::Infallible, process::ExitCode};

use loafer::{
    App, Json, Route, RouteOptions, Sqs,
    program::{BrokerKind, Manager, Program, run_with},
};
use loafer_benches::sqs::task::{Event, Task};

fn main() -> ExitCode {
    let task = Task::get();
    let options = RouteOptions::new()
        .queue(&task.queue)
        .concurrency(task.concurrency);
    let route = Route::new("bench")
        .provider::<Sqs>()
        .options(options)
        .handler(Json, async |event: Event| Task::get().handle(&event).await);
    let program = Program {
        name: "sqs-loafer",
        package: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        brokers: &[BrokerKind::of::<Sqs>()],
    };
    let setup = async |app: App| Ok::<_, Infallible>(app);
    let code = run_with(program, Manager::builder().route(route), setup);
    task.tell();
    code
}
