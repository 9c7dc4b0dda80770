//! The service under test: its handlers do as their message says.

use std::{future::pending, process::ExitCode, time::Duration};

use loafer_cli::Program;
use loafer_core::{
    Error,
    broker::{Broker, DeadLetterQueue, NoOptions, Source},
    extract::Metadata,
    message::Message,
    translate::{Json, Text},
};
use loafer_memory::{Memory, MemoryProvider, MemoryPublisher};
use loafer_runtime::program::{App, BrokerKind, Manager, Route, RouteOptions, Running};
use serde_json::Value;

async fn echo(value: Value, metadata: Metadata) -> anyhow::Result<bool> {
    match value["do"].as_str() {
        Some("fail") => anyhow::bail!("told to fail"),
        Some("panic") => panic!("told to panic"),
        Some("decline") => Ok(false),
        Some("nap") => {
            tracing::info!("at work");
            tokio::time::sleep(Duration::from_millis(500)).await;
            tracing::info!("rested");
            Ok(true)
        }
        Some("sleep") => {
            tracing::info!("at work");
            tokio::time::sleep(Duration::from_secs(60)).await;
            Ok(true)
        }
        Some("block") => {
            std::thread::sleep(Duration::from_secs(60));
            Ok(true)
        }
        _ => {
            tracing::info!(attempt = metadata.attempt(), %value, "echo");
            Ok(true)
        }
    }
}

/// Blocks its thread.
fn block<T>() -> anyhow::Result<T> {
    tracing::info!("at work");
    std::thread::sleep(Duration::from_secs(60));
    Err(anyhow::anyhow!("nobody waits so long"))
}

async fn setup(app: App) -> anyhow::Result<App> {
    match std::env::var("ECHO_SETUP").as_deref() {
        Ok("fail") => Err(anyhow::anyhow!("connection refused").context("no database")),
        Ok("rename") => Ok(app.name("renamed")),
        Ok("panic") => panic!("no DATABASE_URL"),
        Ok("slow") => {
            tracing::info!("setting up");
            tokio::time::sleep(Duration::from_secs(60)).await;
            Ok(app)
        }
        Ok("block") => block(),
        Ok("block-started") => Ok(app.on_started(async |_| block())),
        Ok("block-stop") => Ok(app.on_stop(async |_| block())),
        Ok("hang-stop") => Ok(app.on_stop(async |_| pending::<Result<(), Error>>().await)),
        #[cfg(unix)]
        Ok("reload") => {
            use tokio::signal::unix::{SignalKind, signal};
            let mut hangups = signal(SignalKind::hangup())?;
            tokio::spawn(async move {
                while hangups.recv().await.is_some() {
                    tracing::info!("reloaded");
                }
            });
            Ok(app)
        }
        // A hook that gives the service something to do, and never returns.
        Ok(task @ ("nap" | "sleep")) => {
            let task = serde_json::json!({ "do": task }).to_string();
            Ok(app.on_started(move |running: Running| {
                let task = Message::new(task.clone());
                async move {
                    running.publish("echo", task).await?;
                    pending::<Result<(), Error>>().await
                }
            }))
        }
        _ => Ok(app),
    }
}

/// Memory that names its queues after the app.
#[derive(Default)]
struct Named(Memory);

impl Broker for Named {
    type Provider = MemoryProvider;
    type Publisher = MemoryPublisher;
    type Options = NoOptions;
    const KIND: &'static str = "named";

    fn queue_name(route: &str, app: Option<&str>) -> String {
        format!("{route}-of-{}", app.unwrap_or("nobody"))
    }

    fn provider(&self, source: &Source, options: &NoOptions) -> Result<MemoryProvider, Error> {
        self.0.provider(source, options)
    }

    /// Two more, whenever they are opened.
    fn dead_letters(
        &self,
        source: &Source,
        options: &NoOptions,
    ) -> Result<impl DeadLetterQueue, Error> {
        let queue = format!("{}-dlq", source.queue);
        self.0.send(&queue, ["1", "2"].map(Message::new));
        Broker::dead_letters(&self.0, source, options)
    }

    fn publisher(&self) -> MemoryPublisher {
        self.0.publisher()
    }
}

pub(crate) fn run() -> ExitCode {
    let options = RouteOptions::new().visibility_timeout(Duration::from_millis(200));
    let routes = Manager::builder()
        .route(Route::new("echo").options(options).handler(Json, echo))
        .route(Route::new("shout").handler(Text, async |text: String| {
            tracing::info!("{}", text.to_uppercase());
            true
        }));
    let routes = if std::env::var_os("ECHO_NAMED").is_some() {
        let named = Route::new("named").provider::<Named>();
        routes.route(named.handler(Json, async |_: Value| true))
    } else {
        routes
    };
    let program = Program {
        name: "echo",
        package: "echo-package",
        version: env!("CARGO_PKG_VERSION"),
        brokers: &[BrokerKind::of::<Memory>()],
    };
    loafer_cli::run_with(program, routes, setup)
}
