//! Notices: what a broker says between calls.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use crate::Error;

/// What a broker says between calls: see [`Provider::notice`](crate::broker::Provider::notice).
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice {
    /// Leases were lost before their time, for example with a connection. [`Provider::is_live`](crate::broker::Provider::is_live) says which. The
    /// engine cancels their handlers.
    LeasesLost,
    /// The broker will take leases back: Kafka revokes partitions, or an invocation of a Lambda ends.
    /// [`Provider::is_leaving`](crate::broker::Provider::is_leaving) says which.
    Leaving(Leaving),
    /// The connection is lost. The route is not ready until [`Up`](Self::Up), and the engine logs the error.
    Down(Error),
    /// The connection is back.
    Up,
}

/// The announcement that the broker will take leases back.
///
/// The engine starts none of their messages any more, and releases those that wait. It lets running handlers finish until shortly before the end of
/// the time, then cancels them and sends nothing for them. It settles whatever has an outcome. Then it calls [`fenced`](Self::fenced).
#[derive(Debug)]
pub struct Leaving {
    within: Duration,
    fence: Fence,
}

impl Leaving {
    /// Announces that leases end `within` this time from now, also for deliveries that come meanwhile. The future is ready once the engine has
    /// fenced them.
    ///
    /// ```
    /// # use std::time::Duration;
    /// use loafer::broker::{Leaving, Notice};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (leaving, fenced) = Leaving::new(Duration::from_secs(10));
    /// # let engine = |notice| drop(notice);
    /// engine(Notice::Leaving(leaving)); // `Provider::notice` returns it.
    /// fenced.await; // Nothing is settled any more: commit, and give the partitions back.
    /// # }
    /// ```
    #[must_use]
    pub fn new(within: Duration) -> (Self, Fenced) {
        let shared = Arc::default();
        let fence = Fence(Arc::clone(&shared));
        (Self { within, fence }, Fenced(shared))
    }

    /// Returns how long the leases last from the announcement on.
    #[must_use]
    pub fn within(&self) -> Duration {
        self.within
    }

    /// Says that nothing is settled any more for leases that leave. Dropping the announcement says the same.
    pub fn fenced(self) {
        drop(self.fence);
    }
}

/// A future that is ready once the engine settles nothing any more for leases that leave. It is ready within the announced time, unless the threads
/// of the engine are blocked.
#[derive(Debug)]
pub struct Fenced(Arc<Mutex<FenceState>>);

#[derive(Debug, Default)]
struct FenceState {
    /// Whether the announcement is gone.
    fenced: bool,
    /// The task that waits for it.
    waker: Option<Waker>,
}

/// Fences when it is dropped.
#[derive(Debug)]
struct Fence(Arc<Mutex<FenceState>>);

impl Drop for Fence {
    fn drop(&mut self) {
        let mut state = locked(&self.0);
        state.fenced = true;
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }
}

impl Future for Fenced {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = locked(&self.0);
        if state.fenced {
            return Poll::Ready(());
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

fn locked(state: &Mutex<FenceState>) -> MutexGuard<'_, FenceState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
