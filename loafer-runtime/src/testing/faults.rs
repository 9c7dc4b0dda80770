//! Faults between a service and its broker, on demand.

use std::time::Duration;

use super::TestApp;
use loafer_core::message::Message;

/// Faults between a service and its broker, on demand: [`TestApp::faults`].
///
/// They happen in the broker in memory; the engine around it is the real one. Nothing is left to chance: the same test runs the same way
/// each time. (Only the pauses between calls that failed are random, as always.) A `next` fault happens once; if it is asked for twice, it
/// happens twice.
///
/// On a FIFO queue (`*.fifo`) a group stays in order whatever happens: a duplicate arrives after the first message was acked, a delayed
/// message delays its group, and only whole groups change their order.
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

/// Every method that takes a route panics if there is no such route.
impl<'a> Faults<'a> {
    pub(super) fn new(app: &'a TestApp) -> Self {
        Self { app }
    }

    /// Delivers the next message twice, with the same id: the second one while the first is handled.
    #[track_caller]
    pub fn duplicate_next(self, route: &str) -> Self {
        let queue = &self.app.queue(route);
        self.app.plan().of(queue, |of| of.duplicates += 1);
        self
    }

    /// Confirms the next ack and forgets it: the message is redelivered. It costs no attempt.
    #[track_caller]
    pub fn forget_next_ack(self, route: &str) -> Self {
        let queue = &self.app.queue(route);
        self.app.plan().of(queue, |of| of.forgotten += 1);
        self
    }

    /// Delivers the next message this much later, behind those that came after it.
    #[track_caller]
    pub fn delay_next(self, route: &str, by: Duration) -> Self {
        let queue = &self.app.queue(route);
        self.app.plan().of(queue, |of| of.delays.push_back(by));
        self
    }

    /// From now on, delivers messages in the opposite order if they are received together: up to 10, published before the test awaits
    /// anything else. If handlers must also *begin* in that order, one after the other, the route needs `concurrency(1)`.
    #[track_caller]
    pub fn reorder(self, route: &str) -> Self {
        let queue = &self.app.queue(route);
        self.app.plan().of(queue, |of| of.reversed = true);
        self
    }

    /// Puts a message on the route's queue that is neither JSON nor text. (`Bytes` decodes anything.)
    #[track_caller]
    pub fn poison(self, route: &str) -> Self {
        let poison: &[u8] = b"\xff\xfe{poison";
        let queue = &self.app.queue(route);
        self.app.memory().send(queue, [Message::new(poison)]);
        self
    }

    /// Ends every lease of the route now: its messages are redelivered at once, while their handlers still run. The service notices when it
    /// renews or settles, and cancels what still runs.
    ///
    /// # Panics
    ///
    /// If no message is on lease: there is nothing to lose.
    #[track_caller]
    pub fn lose_leases(self, route: &str) -> Self {
        let queue = &self.app.queue(route);
        if self.app.memory().expire(queue) == 0 {
            self.app.fail(
                route,
                "no message is on lease: let a handler begin and wait, then `advance`",
            );
        }
        self
    }

    /// Fails the next receives of the route, this many times.
    #[track_caller]
    pub fn fail_receives(self, route: &str, times: usize) -> Self {
        let queue = &self.app.queue(route);
        self.app.plan().of(queue, |of| of.failing_receives += times);
        self
    }

    /// Fails the next settlements of the route, this many messages: acks, retries and dead letters.
    #[track_caller]
    pub fn fail_settlements(self, route: &str, times: usize) -> Self {
        let queue = &self.app.queue(route);
        self.app
            .plan()
            .of(queue, |of| of.failing_settlements += times);
        self
    }

    /// Neither confirms nor keeps the next messages that the service publishes to this topic, this many.
    pub fn fail_publishes(self, topic: &str, times: usize) -> Self {
        self.app.plan().fail_publishes(topic, times);
        self
    }

    /// Makes the broker unreachable: the service's receives, settlements, renewals and publishes fail. What the test itself publishes is
    /// still kept, and is there when the broker is reachable again.
    pub fn broker_down(self) -> Self {
        self.app.plan().set_down(true);
        self
    }

    /// Makes the broker reachable again.
    pub fn broker_up(self) -> Self {
        self.app.plan().set_down(false);
        self
    }
}
