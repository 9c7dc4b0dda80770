//! The I/O thread: where brokers are connected and leases renewed, so that handlers that block every other thread stop neither.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    io,
    pin::pin,
    sync::Arc,
    thread,
};

use tokio::{
    runtime::{self, Handle, RuntimeFlavor},
    sync::oneshot,
};

use crate::watchdog::Watchdog;
use loafer_core::Error;

/// The I/O thread of one program. It ends when this is dropped.
pub(super) struct IoThread {
    pub(super) io: Io,
    _end: Option<oneshot::Sender<Infallible>>,
}

/// Where a program connects its brokers and renews its leases.
#[derive(Clone)]
pub(super) struct Io {
    pub(super) handle: Handle,
    /// `None` means that there is no I/O thread.
    pub(super) watchdog: Option<Arc<Watchdog>>,
}

impl IoThread {
    /// Starts the thread, unless the program itself runs on one thread alone: there a handler that blocks stops everything, and the clock may be
    /// one of a test.
    ///
    /// # Errors
    ///
    /// If the system gives no more threads or files.
    pub(super) fn start() -> Result<Self, Error> {
        let here = Handle::current();
        if here.runtime_flavor() == RuntimeFlavor::CurrentThread {
            let io = Io {
                handle: here,
                watchdog: None,
            };
            return Ok(Self { io, _end: None });
        }
        let failed =
            |error: io::Error| Error::Start(format!("the I/O thread can't be started: {error}"));
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let watchdog = Arc::<Watchdog>::default();
        let io = Io {
            handle: runtime.handle().clone(),
            watchdog: Some(watchdog.clone()),
        };
        let (end, ended) = oneshot::channel::<Infallible>();
        let run = move || {
            runtime.spawn(watchdog.run());
            _ = runtime.block_on(ended);
        };
        let thread = thread::Builder::new().name("loafer-io".to_owned());
        thread.spawn(run).map_err(failed)?;
        let _end = Some(end);
        Ok(Self { io, _end })
    }
}

impl Io {
    /// Waits for a future as if the I/O thread did: what it spawns, and sockets and timers that it makes, are driven there.
    pub(super) async fn run<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|cx| {
            let _entered = self.handle.enter();
            future.as_mut().poll(cx)
        })
        .await
    }
}
