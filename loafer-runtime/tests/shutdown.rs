//! The end of a program takes no longer than `drain` and four seconds, whatever hangs.

#![allow(
    clippy::unwrap_used,
    reason = "outside of a test function, a helper panics as one"
)]

use std::{
    future::pending,
    sync::{Arc, Mutex},
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
        _: Duration,
        into: &mut Vec<Delivery<()>>,
    ) -> Result<(), Error> {
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
