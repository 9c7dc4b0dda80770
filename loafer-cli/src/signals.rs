//! The signals that tell a service to stop.

use std::{
    io, process,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

/// How many signals end the process at once: the first one stops it, the second one cancels, the third one ends it.
const IMPATIENT: u32 = 3;

/// A signal that comes this soon after another is the same one.
const ECHO: Duration = Duration::from_millis(100);

/// SIGTERM and SIGINT, in the order in which they come.
pub(crate) struct Signals {
    seen: mpsc::UnboundedReceiver<&'static str>,
}

impl Signals {
    /// Listens from now on, in a task of its own. So a third signal ends even a program whose main thread is blocked.
    pub(crate) fn listen() -> io::Result<Self> {
        let mut source = Source::new()?;
        let (sender, seen) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut last = Instant::now();
            for count in 1.. {
                let mut name = source.next().await;
                // Whoever signals a program and then its process group means one signal.
                while count > 1 && last.elapsed() < ECHO {
                    name = source.next().await;
                }
                last = Instant::now();
                if count >= IMPATIENT {
                    process::exit(1);
                }
                _ = sender.send(name);
            }
        });
        Ok(Self { seen })
    }

    /// Returns the name of a signal that has come, if one has.
    pub(crate) fn came(&mut self) -> Option<&'static str> {
        self.seen.try_recv().ok()
    }

    /// Waits for the next signal. Returns its name.
    pub(crate) async fn next(&mut self) -> &'static str {
        match self.seen.recv().await {
            Some(name) => name,
            // The listening task never ends before the runtime.
            None => std::future::pending().await,
        }
    }
}

#[cfg(unix)]
struct Source {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Source {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(windows)]
struct Source {
    interrupt: tokio::signal::windows::CtrlC,
}

#[cfg(windows)]
impl Source {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: tokio::signal::windows::ctrl_c()?,
        })
    }

    async fn next(&mut self) -> &'static str {
        self.interrupt.recv().await;
        "Ctrl-C"
    }
}
