//! The end of a program takes no longer than `drain` and four seconds, whatever hangs.

#![allow(
    clippy::unwrap_used,
    reason = "outside of a test function, a helper panics as one"
)]

use std::{
    future::{pending, ready},
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use loafer_core::{
    Error,
    broker::{
        Broker, Capabilities, Delivery, Finding, NoOptions, Open, Provider, Publisher, Renewed,
        Settle, Settled, Source, Topic,
    },
    message::{Message, MessageId, Outgoing},
    policy::Policy,
    translate::Json,
};
use loafer_runtime::program::{App, Ended, Manager, Route};
use tokio::time::{Instant, sleep};

/// A broker that delivers one message, and then does not answer any more.
#[derive(Clone, Default)]
struct Hanging {
    delivered: Arc<Mutex<bool>>,
    /// How long the last receive was to wait.
    waits: Arc<Mutex<Duration>>,
}

impl Broker for Hanging {
    type Provider = Self;
    type Publisher = Self;
    type Options = NoOptions;
    const KIND: &'static str = "hanging";

    fn provider(&self, _: &Source, _: &NoOptions) -> Result<Self, Error> {
        Ok(self.clone())
    }

    fn publisher(&self) -> Self {
        self.clone()
    }

    async fn close(&self) {
        pending().await
    }
}

impl Publisher for Hanging {
    async fn publish(&self, _: &Topic, _: &[Outgoing], _: &mut Vec<Result<MessageId, Error>>) {
        pending().await
    }

    async fn close(&self) {
        pending().await
    }
}

impl Provider for Hanging {
    type Receipt = ();

    async fn open(&self, _: Open) -> Result<(), Error> {
        Ok(())
    }

    async fn check(&self, _: &Policy) -> Vec<Finding> {
        Vec::new()
    }

    async fn receive(
        &self,
        _: usize,
        wait: Duration,
        into: &mut Vec<Delivery<()>>,
    ) -> Result<(), Error> {
        *self.waits.lock().unwrap() = wait;
        if std::mem::replace(&mut *self.delivered.lock().unwrap(), true) {
            return pending().await;
        }
        into.push(Delivery {
            receipt: (),
            message: Message::new("1"),
        });
        Ok(())
    }

    async fn settle(&self, _: &[Settle<()>], _: &mut Vec<Settled>) {
        pending().await
    }

    async fn renew(&self, _: &[()], _: Duration, _: &mut Vec<Renewed>) {
        pending().await
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            lease: Some(Duration::from_secs(30)),
            ..Capabilities::default()
        }
    }

    async fn pause(&self) {
        pending().await
    }

    async fn close(&self) {
        pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_is_bounded_by_one_deadline_whatever_hangs() {
    for settles in [false, true] {
        let route = Route::new("r").provider::<Hanging>();
        let route = match settles {
            true => route.handler(Json, async |_: u64| true),
            false => route.handler(Json, async |_: u64| pending::<bool>().await),
        };
        let app = App::new()
            .broker(Hanging::default())
            .on_stop(async |_| pending::<Result<(), Error>>().await);
        let manager = Manager::builder().app(app).route(route).build().unwrap();
        let running = manager.start().await.unwrap();
        sleep(Duration::from_secs(1)).await;
        assert_eq!(running.in_flight(), 1);
        let began = Instant::now();
        running.shutdown();
        assert_eq!(running.ended().await, Ended::Unclean);
        let took = began.elapsed();
        let (drain, most) = (Duration::from_secs(25), Duration::from_secs(29));
        assert!(took >= drain && took <= most, "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_program_ends_within_four_seconds() {
    let route = Route::new("r").provider::<Hanging>();
    let route = route.handler(Json, async |_: u64| pending::<bool>().await);
    let app = App::new().broker(Hanging::default());
    let manager = Manager::builder().app(app).route(route).build().unwrap();
    let running = manager.start().await.unwrap();
    sleep(Duration::from_secs(1)).await;
    let began = Instant::now();
    running.shutdown();
    running.cancel();
    assert_eq!(running.ended().await, Ended::Unclean);
    assert!(
        began.elapsed() <= Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hook_that_blocks_its_thread_is_given_up() {
    let (unblock, blocked) = mpsc::channel::<()>();
    let blocked = Mutex::new(blocked);
    let route = Route::new("r").provider::<Hanging>();
    let route = route.handler(Json, async |_: u64| true);
    let app = App::new()
        .broker(Hanging::default())
        .drain(Duration::from_millis(100))
        .on_stop(move |_| {
            _ = blocked.lock().unwrap().recv();
            ready(Ok::<_, Error>(()))
        });
    let manager = Manager::builder().app(app).route(route).build().unwrap();
    let running = manager.start().await.unwrap();
    running.shutdown();
    let ended = tokio::select! {
        ended = running.ended() => Some(ended),
        () = running.overdue() => None,
    };
    drop(unblock);
    assert_eq!(ended, Some(Ended::Unclean));
}

#[tokio::test(start_paused = true)]
async fn a_receive_waits_as_long_as_the_manager_lets_it() {
    for (longest, waits) in [(None, 20), (Some(2), 2), (Some(60), 20)] {
        let broker = Hanging::default();
        let route = Route::new("r").provider::<Hanging>();
        let route = route.handler(Json, async |_: u64| true);
        let app = App::new().broker(broker.clone());
        let manager = Manager::builder().app(app).route(route);
        let manager = match longest {
            Some(longest) => manager.longest_poll(Duration::from_secs(longest)),
            None => manager,
        };
        let running = manager.build().unwrap().start().await.unwrap();
        sleep(Duration::from_secs(1)).await;
        let waited = *broker.waits.lock().unwrap();
        assert_eq!(waited, Duration::from_secs(waits));
        running.cancel();
        running.ended().await;
    }
}
