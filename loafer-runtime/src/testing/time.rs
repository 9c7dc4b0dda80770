//! How a test lets time pass: until all is settled, or for so long.

use std::{future::Future, panic::Location, time::Duration};

use tokio::{
    task::yield_now,
    time::{Instant, sleep, timeout},
};

use super::TestApp;

/// A handler that says nothing for so long never will.
const STUCK: Duration = Duration::from_secs(24 * 60 * 60);

/// How many turns the other tasks get before nothing is taken to be due any more.
const TURNS: usize = 200;

/// Under a paused clock nothing waits in truth.
impl TestApp {
    /// Waits until no message is in flight or waiting: every one was acked or is among the dead letters. Under paused time, retries take no time.
    ///
    /// # Panics
    ///
    /// Where that can't be: the broker is down, or a handler says nothing for a day.
    #[track_caller]
    pub fn settled(&self) -> impl Future<Output = ()> + '_ {
        let caller = Location::caller();
        async move {
            loop {
                let written = self.ledger().written();
                let settled = async {
                    tokio::select! {
                        biased;
                        () = self.settle() => true,
                        () = self.unreachable() => false,
                    }
                };
                match timeout(STUCK, settled).await {
                    Ok(true) => return,
                    Ok(false) => panic!(
                        "settled() at {caller}: the broker is down, nothing settles before `faults().broker_up()`\n{}",
                        self.stories()
                    ),
                    Err(_) => {}
                }
                if written == self.ledger().written() && self.running().held() > 0 {
                    panic!(
                        "settled() at {caller}: a handler has said nothing for a day\n{}",
                        self.stories()
                    );
                }
            }
        }
    }

    async fn settle(&self) {
        loop {
            self.memory().settled().await;
            self.running().quiet().await;
            if self.memory().is_settled() {
                return;
            }
        }
    }

    /// Waits until the broker is down.
    async fn unreachable(&self) {
        loop {
            let changed = self.plan().changed();
            if self.plan().is_down() {
                return;
            }
            changed.await;
        }
    }

    /// Lets this much time pass, and what becomes due in it be done: delays, backoffs, timeouts, leases. Nothing waits in truth.
    ///
    /// # Panics
    ///
    /// Where the clock is not paused.
    #[track_caller]
    pub fn advance(&self, time: Duration) -> impl Future<Output = ()> + '_ {
        assert!(
            is_paused(),
            "advance() works on a paused clock: write `#[tokio::test(start_paused = true)]`"
        );
        async move {
            sleep(time).await;
            let mut written = self.ledger().written();
            let mut idle = 0;
            while idle < TURNS {
                yield_now().await;
                idle += 1;
                if std::mem::replace(&mut written, self.ledger().written()) != written {
                    idle = 0;
                }
            }
        }
    }
}

/// A paused clock stands still while nobody waits.
fn is_paused() -> bool {
    let (true_time, time) = (std::time::Instant::now(), Instant::now());
    while true_time.elapsed() < Duration::from_micros(10) {
        std::hint::spin_loop();
    }
    time == Instant::now()
}
