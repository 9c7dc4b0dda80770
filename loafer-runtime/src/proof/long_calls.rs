//! Calls that run long, on the real engine: the watchdog knows each kind of them. It is told what time it is, so that nothing waits.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use loafer_core::{
    broker::{Broker, Provider, Publisher, Source},
    extract::{Batch, Resources, RouteName},
    message::{Message, Outgoing},
    outcome::IntoOutcome,
    policy::Policy,
    translate::Json,
};
use loafer_memory::Memory;
use tokio::{runtime::Handle, sync::Notify};

use crate::{
    engine::{self, Parts},
    handler::{Handlers, PreparedHandler, Reports, RouteHandler},
    logged::Logged,
    program,
    scheduler::Phase,
    stats::Stats,
    watchdog::Watchdog,
};

/// A route in memory whose calls are named once they run long.
struct Running {
    route: Arc<engine::Route>,
    watchdog: Arc<Watchdog>,
    memory: Memory,
    began: Instant,
    logged: Logged,
}

impl Running {
    fn start(policy: Policy, ready: PreparedHandler) -> Self {
        let (memory, watchdog) = (Memory::new(), Arc::<Watchdog>::default());
        let source = Source::new("r", "r");
        let provider = memory.provider(&source, &Default::default()).unwrap();
        let names = RouteName::new("r", "r", "a_handler", "memory");
        let handler = RouteHandler {
            ready,
            names: Arc::new(names),
            timeout: None,
            on: None,
            replies: false,
        };
        let reports = Reports {
            route: "r".to_owned(),
            queue: "r".to_owned(),
            log_bodies: false,
            dead_letter_reasons: true,
            reporters: Vec::new(),
            failure_log: None,
            stats: Stats::default(),
        };
        let parts = Parts {
            policy,
            handlers: Handlers::new(vec![handler]),
            once: false,
            reports,
            quiet: Arc::default(),
            bus: Default::default(),
            io: Handle::current(),
            watchdog: Some(watchdog.clone()),
            longest_poll: Duration::MAX,
        };
        let capabilities = provider.capabilities();
        let route = Arc::new(engine::Route::new(parts, capabilities));
        tokio::spawn(engine::run(Arc::new(provider), route.clone()));
        Self {
            route,
            watchdog,
            memory,
            began: Instant::now(),
            logged: Logged::default(),
        }
    }

    async fn publish(&self, messages: u32) {
        let message = |number: u32| Outgoing::from(Message::new(number.to_string()));
        let batch: Vec<_> = (0..messages).map(message).collect();
        let topic = self.memory.queue_topic("r");
        let mut answers = Vec::new();
        let publisher = self.memory.publisher();
        publisher.publish(&topic, &batch, &mut answers).await;
    }

    /// Returns what is said 30 s after the call was first seen.
    fn long(&self) -> Vec<String> {
        let looks = || {
            self.watchdog.look(self.began);
            self.watchdog.look(self.began + Duration::from_secs(30));
        };
        tracing::subscriber::with_default(self.logged.clone(), looks);
        self.logged.lines("runs long")
    }

    /// Waits for so many acks, and for the end of the route.
    async fn acked(&self, messages: u64) {
        while self.route.stats.now().acked < messages {
            tokio::task::yield_now().await;
        }
        self.route.scheduler.close(Phase::Draining);
    }
}

fn prepared(route: &program::Route) -> PreparedHandler {
    let app = program::App::new();
    route.ready(app.resources()).unwrap().ok().unwrap()
}

#[tokio::test]
async fn a_call_that_waits_is_known_by_its_message() {
    let (started, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (starts, waits) = (started.clone(), go_on.clone());
    let handler = move |_: u32| {
        let (starts, waits) = (starts.clone(), waits.clone());
        async move {
            starts.notify_one();
            waits.notified().await;
            true
        }
    };
    let ready = prepared(&program::Route::new("r").handler(Json, handler));
    let running = Running::start(Policy::new("r"), ready);
    running.publish(1).await;
    started.notified().await;
    let lines = running.long();
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in [
        "route=r ",
        "handler=a_handler ",
        "attempt=1 ",
        "messages=1 ",
    ] {
        assert!(lines[0].contains(part), "{lines:?}");
    }
    go_on.notify_one();
    running.acked(1).await;
    assert_eq!(running.long().len(), 1);
}

#[tokio::test]
async fn a_batch_is_known_by_its_first_message_and_its_size() {
    let (started, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (starts, waits) = (started.clone(), go_on.clone());
    let handler = move |_: Batch<u32>| {
        let (starts, waits) = (starts.clone(), waits.clone());
        async move {
            starts.notify_one();
            waits.notified().await;
            true
        }
    };
    let ready = prepared(&program::Route::new("r").batch_handler(Json, handler));
    let mut policy = Policy::new("r");
    policy.batch = Some(5);
    let running = Running::start(policy, ready);
    running.publish(5).await;
    started.notified().await;
    let lines = running.long();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("messages=5 "), "{lines:?}");
    go_on.notify_one();
    running.acked(5).await;
}

#[tokio::test]
async fn a_plain_function_may_block_and_is_said_to_run_long() {
    let (started, go_on) = (Arc::new(Notify::new()), std::sync::mpsc::channel::<()>());
    let (open, gate) = (go_on.0, std::sync::Mutex::new(go_on.1));
    let starts = started.clone();
    let ready = PreparedHandler::blocking(&Resources::new(), Json, (), move |_, _| {
        starts.notify_one();
        _ = gate.lock().map(|gate| gate.recv());
        true.into_outcome()
    });
    let running = Running::start(Policy::new("r"), ready);
    running.publish(1).await;
    started.notified().await;
    while running.long().is_empty() {
        tokio::task::yield_now().await;
    }
    for _ in 0..20 {
        running.watchdog.look(running.began);
    }
    let blocks = running.logged.lines("blocks its thread");
    assert_eq!(blocks, [""; 0]);
    open.send(()).unwrap();
    running.acked(1).await;
}
