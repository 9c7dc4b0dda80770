//! What goes wrong between a service and its broker, on demand.

use std::time::Duration;

use super::TestApp;
use loafer_core::message::Message;

/// What goes wrong between a service and its broker: [`TestApp::faults`].
///
/// It happens in the broker in memory; the engine around it is the real one. Nothing is left to chance: the same test goes the same way each time
/// (only the pauses between calls that failed are spread at random, as always). `next` means once; said twice, twice.
///
/// On a FIFO queue (`*.fifo`) a group stays in order whatever happens: a duplicate comes after the first was acked, a delayed message holds up its
/// group, and only groups change places.
///
/// ```
/// use loafer::{Json, Route, testing};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let route = Route::new("orders").handler(Json, async |_: u32| true);
/// let app = testing::app().route(route).start().await;
/// app.faults().duplicate_next("orders").broker_down();
/// app.publish("orders", &1).await;
/// app.faults().broker_up();
/// app.settled().await;
/// app.assert_acked("orders", 2);
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Faults<'a> {
    app: &'a TestApp,
}

/// Every method that takes a route panics where there is no such route.
impl<'a> Faults<'a> {
    pub(super) fn new(app: &'a TestApp) -> Self {
        Self { app }
    }

    /// The next message comes twice, with the same id, the second while the first is handled.
    #[track_caller]
    pub fn duplicate_next(self, route: &str) -> Self {
        let queue = self.app.queue(route);
        self.app.plan().of(queue, |of| of.duplicates += 1);
        self
    }

    /// The next ack is confirmed and forgotten: its message comes again, as another attempt.
    #[track_caller]
    pub fn forget_next_ack(self, route: &str) -> Self {
        let queue = self.app.queue(route);
        self.app.plan().of(queue, |of| of.forgotten += 1);
        self
    }

    /// The next message comes that much later, behind those that came after it.
    #[track_caller]
    pub fn delay_next(self, route: &str, by: Duration) -> Self {
        let queue = self.app.queue(route);
        self.app.plan().of(queue, |of| of.delays.push_back(by));
        self
    }

    /// From here on what is received together comes last first: messages published before the test awaits anything else, up to 10. For handlers to
    /// *begin* in that order, one after the other, the route wants `concurrency(1)`.
    #[track_caller]
    pub fn reorder(self, route: &str) -> Self {
        let queue = self.app.queue(route);
        self.app.plan().of(queue, |of| of.reversed = true);
        self
    }

    /// Puts a message on the route's queue that is neither JSON nor text. (`Bytes` decodes anything.)
    #[track_caller]
    pub fn poison(self, route: &str) -> Self {
        let poison: &[u8] = b"\xff\xfe{poison";
        let queue = self.app.queue(route);
        self.app.memory().send(queue, [Message::new(poison)]);
        self
    }

    /// Every lease of the route ends now: its messages come again, at once, while their handlers still run. The service learns of it when it renews or
    /// settles, and cancels what still runs.
    ///
    /// # Panics
    ///
    /// Where no message is on lease: there is nothing to lose.
    #[track_caller]
    pub fn lose_leases(self, route: &str) -> Self {
        let queue = self.app.queue(route);
        if self.app.memory().expire(queue) == 0 {
            self.app.fail(
                route,
                "no message is on lease: let a handler begin and wait, then `advance`",
            );
        }
        self
    }

    /// The next receives of the route fail, so many.
    #[track_caller]
    pub fn fail_receives(self, route: &str, times: usize) -> Self {
        let queue = self.app.queue(route);
        self.app.plan().of(queue, |of| of.failing_receives += times);
        self
    }

    /// The next settlements of the route fail, so many, one a message: its acks, retries and dead letters.
    #[track_caller]
    pub fn fail_settlements(self, route: &str, times: usize) -> Self {
        let queue = self.app.queue(route);
        self.app
            .plan()
            .of(queue, |of| of.failing_settlements += times);
        self
    }

    /// The next messages that the service publishes to this topic are not confirmed, so many, and not there.
    pub fn fail_publishes(self, topic: &str, times: usize) -> Self {
        self.app.plan().fail_publishes(topic, times);
        self
    }

    /// The broker can't be reached: the service's receives, settlements, renewals and publishes fail. What the test itself publishes is there when the broker is.
    pub fn broker_down(self) -> Self {
        self.app.plan().set_down(true);
        self
    }

    /// The broker can be reached again.
    pub fn broker_up(self) -> Self {
        self.app.plan().set_down(false);
        self
    }
}
