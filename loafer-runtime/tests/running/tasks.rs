//! Tasks that live as long as the program.

use std::{
    convert::Infallible,
    future::{pending, ready},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use loafer_core::message::Message;
use loafer_memory::Memory;
use loafer_runtime::program::{App, Ended, Manager, Running, Shutdown};
use tokio::time::{Instant, sleep};

use crate::{Handled, logged::Logged, route, start_app};

const SECOND: Duration = Duration::from_secs(1);

/// The moments at which a task was started.
#[derive(Clone, Default)]
struct Starts(Arc<Mutex<Vec<Instant>>>);

impl Starts {
    fn note(&self) -> usize {
        let mut starts = self.0.lock().unwrap();
        starts.push(Instant::now());
        starts.len()
    }

    fn pauses(&self) -> Vec<Duration> {
        let starts = self.0.lock().unwrap();
        starts.windows(2).map(|two| two[1] - two[0]).collect()
    }
}

fn app() -> App {
    App::new().broker(Memory::new()).drain(5 * SECOND)
}

async fn stop(running: &Running) -> Ended {
    running.shutdown();
    running.ended().await
}

#[tokio::test(start_paused = true)]
async fn a_task_that_fails_is_started_again_after_pauses_that_double() {
    let (log, starts) = (Logged::default(), Starts::default());
    let _guard = tracing::subscriber::set_default(log.clone());
    let noted = starts.clone();
    let app = app().task("relay", move |_, shutdown: Shutdown| {
        let start = noted.note();
        async move {
            match start {
                1 | 3 => Err(format!("failure {start}")),
                2 => panic!("failure 2"),
                _ => {
                    shutdown.requested().await;
                    Ok(())
                }
            }
        }
    });
    let running = start_app(app, [route("r")]).await;
    assert!(running.is_ready());
    sleep(Duration::from_millis(1)).await;
    assert!(!running.is_ready());
    sleep(8 * SECOND).await;
    // The first pause is 0.2 s, and up to as much again.
    let pauses = starts.pauses();
    assert_eq!(pauses.len(), 3);
    for (pause, least) in pauses.iter().zip([200, 400, 800]) {
        let least = Duration::from_millis(least);
        assert!(
            (least..=2 * least + Duration::from_millis(1)).contains(pause),
            "{pauses:?}"
        );
    }
    assert!(!running.is_ready());
    sleep(5 * SECOND).await;
    assert!(running.is_ready());
    let lines = log.lines("task=\"relay\"");
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines[0].contains("failure 1"), "{lines:?}");
    assert!(lines[1].contains("it panicked: failure 2"), "{lines:?}");
    assert_eq!(stop(&running).await, Ended::Clean);
}

#[tokio::test(start_paused = true)]
async fn a_panic_before_the_first_await_is_a_failure_too() {
    let starts = Arc::new(AtomicU32::new(0));
    let counted = starts.clone();
    let app = app().task("relay", move |_, _| {
        match counted.fetch_add(1, Ordering::SeqCst) {
            0 => panic!("at once"),
            _ => ready(Ok::<_, Infallible>(())),
        }
    });
    let running = start_app(app, [route("r")]).await;
    sleep(SECOND).await;
    assert_eq!(starts.load(Ordering::SeqCst), 2);
    assert!(running.is_ready());
    assert_eq!(stop(&running).await, Ended::Clean);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_done_is_not_started_again() {
    let starts = Starts::default();
    let noted = starts.clone();
    let app = app().task("once", move |_, _| {
        noted.note();
        ready(Ok::<_, Infallible>(()))
    });
    let running = start_app(app, [route("r")]).await;
    sleep(3600 * SECOND).await;
    assert!(starts.pauses().is_empty() && running.is_ready());
    assert_eq!(stop(&running).await, Ended::Clean);
}

#[tokio::test(start_paused = true)]
async fn a_task_may_publish_while_the_program_drains() {
    let handled = Handled::default();
    let app = app();
    let bus = app.bus();
    let app = app.task("relay", move |_, shutdown: Shutdown| {
        let bus = bus.clone();
        async move {
            assert!(!shutdown.is_requested());
            shutdown.requested().await;
            assert!(shutdown.is_requested());
            sleep(2 * SECOND).await;
            bus.send("memory:left", Message::new("1")).await.map(drop)
        }
    });
    let running = start_app(app, [handled.route("r", 3 * SECOND)]).await;
    running.publish("r", Message::new("7")).await.unwrap();
    sleep(SECOND).await;
    let began = Instant::now();
    assert_eq!(stop(&running).await, Ended::Clean);
    assert_eq!(began.elapsed(), 2 * SECOND);
    assert_eq!(handled.numbers(), [7]);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_hangs_at_the_end_is_aborted_and_named() {
    let log = Logged::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    for cancelled in [false, true] {
        let app = app().task("deaf", |_, _| pending::<Result<(), Infallible>>());
        let running = start_app(app, [route("r")]).await;
        let began = Instant::now();
        if cancelled {
            running.cancel();
        }
        assert_eq!(stop(&running).await, Ended::Unclean);
        let drain = if cancelled {
            Duration::ZERO
        } else {
            5 * SECOND
        };
        assert_eq!(began.elapsed(), drain + SECOND / 2);
    }
    let lines = log.lines("task=\"deaf\"");
    assert_eq!(lines.len(), 2, "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_fails_at_the_end_is_named_and_not_started_again() {
    let (log, starts) = (Logged::default(), Starts::default());
    let _guard = tracing::subscriber::set_default(log.clone());
    let noted = starts.clone();
    let app = app().task("relay", move |_, shutdown: Shutdown| {
        noted.note();
        async move {
            shutdown.requested().await;
            Err("the outbox is gone")
        }
    });
    let running = start_app(app, [route("r")]).await;
    assert_eq!(stop(&running).await, Ended::Unclean);
    assert!(starts.pauses().is_empty());
    assert_eq!(log.lines("the outbox is gone").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_task_in_its_pause_ends_with_the_program() {
    let app = app().task("relay", |_, _| ready(Err::<(), _>("never works")));
    let running = start_app(app, [route("r")]).await;
    sleep(60 * SECOND).await;
    let began = Instant::now();
    assert_eq!(stop(&running).await, Ended::Clean);
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_program_that_receives_once_asks_its_tasks_at_the_end() {
    let handled = Handled::default();
    let (memory, asked) = (Memory::new(), Arc::new(Mutex::new(None)));
    memory.send("r", [Message::new("7")]);
    let (noted, numbers) = (asked.clone(), handled.clone());
    let app = App::new()
        .broker(memory)
        .task("relay", move |_, shutdown: Shutdown| {
            let (noted, numbers) = (noted.clone(), numbers.clone());
            async move {
                shutdown.requested().await;
                *noted.lock().unwrap() = Some(numbers.numbers());
                Ok::<_, Infallible>(())
            }
        });
    let manager = Manager::builder().app(app).once(true);
    let manager = manager.route(handled.route("r", 2 * SECOND));
    let running = manager.build().unwrap().start().await.unwrap();
    assert_eq!(running.ended().await, Ended::Clean);
    assert_eq!(asked.lock().unwrap().take(), Some(vec![7]));
}

#[tokio::test(start_paused = true)]
async fn a_task_may_add_routes() {
    let app = app().task("routes", |running: Running, _| async move {
        running.add(route("added")).await?;
        running.publish("added", Message::new("1")).await.map(drop)
    });
    let running = start_app(app, [route("r")]).await;
    while running.stats("added").is_none_or(|stats| stats.acked == 0) {
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(stop(&running).await, Ended::Clean);
}
