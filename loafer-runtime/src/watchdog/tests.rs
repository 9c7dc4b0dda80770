//! What the watchdog says of a worker, look by look. No time passes: each look is told what time it is.

use loafer_core::message::Message;

use super::*;
use crate::{logged::Logged, scheduler::Key};

const SECOND: Duration = Duration::from_secs(1);

/// A worker of a route with two handlers.
struct Worker {
    watchdog: Arc<Watchdog>,
    pulse: Pulse,
    began: Instant,
    logged: Logged,
}

impl Worker {
    fn new() -> Self {
        let watchdog = Arc::<Watchdog>::default();
        let names = |handler| {
            let names = RouteName::new("orders", "orders-queue", handler, "memory");
            (Arc::new(names), Told::default())
        };
        let watch = Arc::new(Watch {
            watchdog: Some(watchdog.clone()),
            blocks: AtomicBool::new(false),
            handlers: vec![names("placed"), names("closed")],
        });
        Self {
            watchdog,
            pulse: watch.pulse(),
            began: Instant::now(),
            logged: Logged::default(),
        }
    }

    /// Looks this long after the start.
    fn look(&self, after: Duration) {
        let look = || self.watchdog.look(self.began + after);
        tracing::subscriber::with_default(self.logged.clone(), look);
    }

    fn blocks(&self) -> Vec<String> {
        self.logged.lines("blocks its thread")
    }

    /// How often calls were said to run long.
    fn long(&self) -> usize {
        self.logged.lines("runs long").len()
    }
}

/// So many messages that were tried twice.
fn jobs(messages: usize) -> VecDeque<Job> {
    let job = |number| {
        let message = Message::with_id(format!("id-{number}"), "");
        Job::new(Key::new(number, 0), message.with_attempt(3))
    };
    (0..messages).map(job).collect()
}

#[test]
fn a_poll_that_every_look_finds_is_named_once_and_marks_its_route() {
    let worker = Worker::new();
    worker.pulse.watched(|| {
        for look in 0..20 {
            worker.look(look * LOOK);
            assert_eq!(worker.blocks().len(), usize::from(look >= BLOCKED));
            assert_eq!(worker.pulse.blocks(), look >= BLOCKED);
        }
    });
    let lines = worker.blocks();
    for part in [
        "route=orders ",
        "queue=orders-queue ",
        "handler=placed ",
        "blocked=1.5s",
        "plain `fn`",
    ] {
        assert!(lines[0].contains(part), "{lines:?}");
    }
}

#[test]
fn polls_that_follow_each_other_are_no_poll_that_blocks() {
    let worker = Worker::new();
    for look in 0..20 {
        worker.pulse.watched(|| worker.look(look * LOOK));
    }
    worker.pulse.watched(|| {
        for look in 20..40 {
            worker.look(look * LOOK);
            worker.pulse.next();
        }
    });
    for look in 40..60 {
        worker.look(look * LOOK);
    }
    assert_eq!(worker.blocks(), [""; 0]);
}

#[test]
fn a_program_that_was_stopped_in_the_middle_of_a_poll_has_no_handler_that_blocks() {
    let worker = Worker::new();
    worker.pulse.watched(|| {
        worker.look(SECOND);
        worker.look(3600 * SECOND);
    });
    assert_eq!(worker.blocks(), [""; 0]);
}

#[test]
fn each_handler_is_named_at_most_once_a_minute() {
    let worker = Worker::new();
    let which = Arc::<AtomicUsize>::default();
    worker.pulse.finds_handler(Some(&which));
    for handler in [0, 0, 1] {
        which.store(handler, Ordering::Relaxed);
        let looks = || (0..=BLOCKED).for_each(|look| worker.look(look * LOOK));
        worker.pulse.watched(looks);
    }
    let lines = worker.blocks();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].contains("handler=placed "), "{lines:?}");
    assert!(lines[1].contains("handler=closed "), "{lines:?}");
}

#[test]
fn a_call_that_runs_long_is_named_after_30_s_and_each_time_that_doubles() {
    let mut worker = Worker::new();
    worker.pulse.show(&jobs(7), true);
    for second in 0..=250 {
        worker.look(second * SECOND);
        let named = [30, 60, 120, 240].iter().filter(|at| **at <= second);
        assert_eq!(worker.long(), named.count(), "after {second} s");
    }
    let lines = worker.logged.lines("runs long");
    for part in [
        "route=orders ",
        "handler=placed ",
        "message_id=id-0 ",
        "attempt=3 ",
        "messages=7 ",
        "age=30s",
    ] {
        assert!(lines[0].contains(part), "{lines:?}");
    }
}

#[test]
fn the_age_of_each_call_is_its_own() {
    let mut worker = Worker::new();
    for second in 0..100 {
        // Each call takes 20 s.
        if second % 20 == 0 {
            worker.pulse.over();
            worker.pulse.watched(|| ());
            worker.pulse.show(&jobs(1), false);
        }
        worker.look(second * SECOND);
    }
    assert_eq!(worker.long(), 0);
    worker.pulse.over();
    worker.look(1000 * SECOND);
    assert_eq!(worker.long(), 0);
}

#[test]
fn a_worker_that_is_gone_is_not_watched_any_more() {
    let Worker {
        watchdog, pulse, ..
    } = Worker::new();
    watchdog.look(Instant::now());
    assert_eq!(locked(&watchdog.workers).len(), 1);
    drop(pulse);
    watchdog.look(Instant::now());
    assert_eq!(locked(&watchdog.workers).len(), 0);
}
