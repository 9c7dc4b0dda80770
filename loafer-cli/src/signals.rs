//! The signals that tell a service to stop, and the end of a process that hangs.

use std::{
    future::pending,
    io, process, thread,
    time::{Duration, Instant},
};

use loafer_runtime::program::Running;
use tokio::{
    runtime,
    sync::{mpsc, watch},
    time::{sleep, timeout},
};

/// How many signals end the process at once: the first one stops it, the second one cancels, the third one ends it.
const IMPATIENT: u32 = 3;

/// A signal that comes this soon after another is the same one.
const ECHO: Duration = Duration::from_millis(100);

/// How long after a signal a program may take that has not started.
const STARTING: Duration = Duration::from_secs(4);

/// How long the last line may take: whoever reads the log may hang, too.
const LAST_LINE: Duration = Duration::from_millis(100);

/// The program as the signals know it. `None` until its routes receive.
pub(crate) type Started = watch::Receiver<Option<Running>>;

/// SIGTERM, SIGINT, SIGQUIT and, once the routes receive, SIGHUP, in the order in which they come.
pub(crate) struct Signals {
    seen: mpsc::UnboundedReceiver<&'static str>,
}

impl Signals {
    /// Listens from now on, on a thread of its own. So it hears of signals, and of the end of the time, when code that blocks has every thread
    /// of the program. It ends the process if the program takes longer for its end than it may. `None` means that it may take its time.
    pub(crate) fn listen(started: Option<Started>) -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let source = {
            let _context = runtime.enter();
            Source::new()?
        };
        let (sender, seen) = mpsc::unbounded_channel();
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || runtime.block_on(hear(source, sender, started)))?;
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
            // The listening thread never ends before the process.
            None => pending().await,
        }
    }
}

/// Passes signals on. What the program itself does about them may be late, if its threads are blocked: so it is asked to stop from here, too.
async fn hear(
    mut source: Source,
    seen: mpsc::UnboundedSender<&'static str>,
    mut started: Option<Started>,
) {
    let (mut count, mut asked, mut last) = (0, Instant::now(), Instant::now());
    let mut running: Option<Running> = None;
    loop {
        tokio::select! {
            biased;
            name = source.next() => {
                // Whoever signals a program and then its process group means one signal.
                if count > 0 && last.elapsed() < ECHO {
                    continue;
                }
                last = Instant::now();
                if count == 0 {
                    asked = last;
                }
                count += 1;
                if count >= IMPATIENT {
                    process::exit(1);
                }
                _ = seen.send(name);
                match &running {
                    Some(running) if count == 1 => running.shutdown(),
                    Some(running) => running.cancel(),
                    None => {}
                }
            }
            now = start(&mut started), if running.is_none() => {
                source.hear_hangup();
                if count > 0 {
                    now.shutdown();
                }
                running = Some(now);
            }
            () = sleep(STARTING.saturating_sub(asked.elapsed())), if count > 0 && running.is_none() && started.is_some() => {
                let fault = "the program has not ended 4 s after it was asked to, and it has not started either: `setup` or a hook blocks its thread. Its process ends now";
                end(move || tracing::error!("{fault}")).await;
            }
            () = overdue(running.as_ref()) => {
                let messages = running.as_ref().map_or(0, Running::in_flight);
                let fault = "the program has not ended 4 s after its `drain` deadline: code that blocks has the threads that it needs, a handler, a hook or a task. \
                             Its process ends now, and messages in flight are redelivered. An async function must not block; a handler that is a plain `fn` may";
                end(move || tracing::error!(messages, "{fault}")).await;
            }
        }
    }
}

/// Waits for the start of the program.
async fn start(started: &mut Option<Started>) -> Running {
    if let Some(started) = started
        && let Ok(running) = started.wait_for(Option::is_some).await
        && let Some(running) = &*running
    {
        return running.clone();
    }
    pending().await
}

/// Waits until the program should have ended.
async fn overdue(running: Option<&Running>) {
    match running {
        Some(running) => running.overdue().await,
        None => pending().await,
    }
}

/// Says a last line, if that is possible, and ends the process.
async fn end(say: impl FnOnce() + Send + 'static) {
    _ = timeout(LAST_LINE, tokio::task::spawn_blocking(say)).await;
    process::exit(1);
}

#[cfg(unix)]
struct Source {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    quit: tokio::signal::unix::Signal,
    hangup: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Source {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hangup: None,
        })
    }

    /// Listens to SIGHUP too, unless somebody else does, who reloads by it, or it is ignored, as under `nohup`.
    fn hear_hangup(&mut self) {
        use tokio::signal::unix::{SignalKind, signal};
        let hangup = SignalKind::hangup();
        let status = std::fs::read_to_string("/proc/self/status");
        if status.is_ok_and(|status| is_default(hangup.as_raw_value(), &status)) {
            self.hangup = signal(hangup).ok();
        }
    }

    async fn next(&mut self) -> &'static str {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.quit.recv() => "SIGQUIT",
            _ = hangup => "SIGHUP",
        }
    }
}

/// Returns whether a signal is neither ignored nor caught, by what Linux says in `/proc/self/status`: two sets of signals, bit 0 is signal 1.
#[cfg(unix)]
fn is_default(signal: i32, status: &str) -> bool {
    let set = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        u64::from_str_radix(line.trim(), 16).ok()
    };
    let sets = set("SigIgn:").zip(set("SigCgt:"));
    sets.is_some_and(|(ignored, caught)| (ignored | caught) >> (signal - 1) & 1 == 0)
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

    fn hear_hangup(&mut self) {}

    async fn next(&mut self) -> &'static str {
        self.interrupt.recv().await;
        "Ctrl-C"
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::is_default;

    #[test]
    fn a_signal_that_is_ignored_or_caught_is_not_ours() {
        let status = |ignored, caught| {
            format!("Name:\tservice\nSigIgn:\t{ignored:016x}\nSigCgt:\t{caught:016x}\n")
        };
        assert!(is_default(1, &status(0x1000, 0x4002)));
        assert!(!is_default(1, &status(0x1001, 0x4002)));
        assert!(!is_default(1, &status(0x1000, 0x4003)));
        assert!(!is_default(1, "Name:\tservice\n"));
    }
}
