//! How a test lets time pass: until everything is settled, or for a duration.

use std::{future::Future, panic::Location, time::Duration};

use tokio::{
    task::yield_now,
    time::{Instant, sleep, timeout},
};

use super::TestApp;

/// A handler that has not answered for so long never will.
const STUCK: Duration = Duration::from_secs(24 * 60 * 60);

/// How many turns the other tasks get before the test takes it that nothing more is due.
const TURNS: usize = 200;

/// Under a paused clock nothing really waits.
impl TestApp {
    /// Waits until no message is in flight or waiting: each of them was acked or is a dead letter. Under a paused clock, retries take no
    /// time.
    ///
    /// # Panics
    ///
    /// If that can't happen: the broker is down, or a handler has not answered for a day.
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
                if written == self.ledger().written() && self.running().in_flight() > 0 {
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

    /// Lets this much time pass, and waits for what becomes due in it: delays, backoffs, timeouts, leases. Nothing really waits.
    ///
    /// # Panics
    ///
    /// If the clock is not paused.
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

/// Whether the clock is paused: it stands still while no task waits.
fn is_paused() -> bool {
    let (true_time, time) = (std::time::Instant::now(), Instant::now());
    while true_time.elapsed() < Duration::from_micros(10) {
        std::hint::spin_loop();
    }
    time == Instant::now()
}
