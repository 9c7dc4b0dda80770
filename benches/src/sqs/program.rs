//! A contestant at work: a process of its own, measured from the outside.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use super::task;

/// The time between two looks at it.
pub(super) const LOOK: Duration = Duration::from_millis(1);

/// A running contestant. It is killed when it is dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
    log: PathBuf,
}

/// The work of a contestant.
#[derive(Clone, Copy, Debug)]
pub struct Orders<'q> {
    /// The queue's name.
    pub queue: &'q str,
    /// How many messages it has.
    pub messages: usize,
    /// How many handlers run at once.
    pub concurrency: usize,
    /// How long a handler waits.
    pub handler: Duration,
}

/// What it printed at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// How often the handler ran.
    pub handled: usize,
    /// For how many messages the handler ran.
    pub different: usize,
}

impl Program {
    /// Starts the contestant. What it writes to stderr goes into a file beside our own program.
    ///
    /// # Errors
    ///
    /// If there is no such program, or the file can't be made.
    pub fn start(program: &Path, endpoint: &str, orders: Orders<'_>) -> Result<Self> {
        let name = program.file_name().unwrap_or_default();
        let log = std::env::current_exe()?
            .with_file_name(name)
            .with_extension("log");
        let mut command = Command::new(program);
        // Loafer would take them for its configuration.
        let ours = std::env::vars_os().map(|(name, _)| name);
        for name in ours.filter(|name| name.to_string_lossy().starts_with("LOAFER_")) {
            command.env_remove(name);
        }
        let child = command
            .env("AWS_ENDPOINT_URL", endpoint)
            .env(task::QUEUE, orders.queue)
            .env(task::MESSAGES, orders.messages.to_string())
            .env(task::CONCURRENCY, orders.concurrency.to_string())
            .env(task::HANDLER, orders.handler.as_millis().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).with_context(|| format!("can't make {}", log.display()))?)
            .spawn()
            .with_context(|| format!("can't start {}", program.display()))?;
        Ok(Self { child, log })
    }

    /// Waits until a condition holds.
    ///
    /// # Errors
    ///
    /// If it does not hold in time, or the program ended before.
    pub async fn until(
        &mut self,
        limit: Duration,
        what: &str,
        so: impl Fn() -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + limit;
        while !so() {
            if let Some(status) = self.child.try_wait()? {
                bail!(
                    "it ended with {status} before {what}: see {}",
                    self.log.display()
                );
            }
            ensure!(
                Instant::now() < deadline,
                "not within {limit:?}: {what}; see {}",
                self.log.display()
            );
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Returns the CPU time of its threads so far, user and system.
    ///
    /// # Errors
    ///
    /// If the system does not give it, because it is not Linux.
    pub fn cpu(&self) -> Result<Duration> {
        let threads = fs::read_dir(self.file("task")).context("no CPU times in /proc")?;
        let mut all = Duration::ZERO;
        for thread in threads {
            // A thread that has just ended has no file any more.
            if let Ok(stat) = fs::read_to_string(thread?.path().join("schedstat")) {
                let nanos = stat
                    .split_whitespace()
                    .next()
                    .and_then(|word| word.parse().ok());
                all += Duration::from_nanos(nanos.context("no CPU time in schedstat")?);
            }
        }
        Ok(all)
    }

    /// Returns the most memory that it had resident so far, in MiB.
    ///
    /// # Errors
    ///
    /// If the system does not give it, because it is not Linux.
    pub fn peak(&self) -> Result<f64> {
        let status = fs::read_to_string(self.file("status")).context("no status in /proc")?;
        peak(&status).context("no VmHWM in /proc")
    }

    fn file(&self, name: &str) -> PathBuf {
        Path::new("/proc")
            .join(self.child.id().to_string())
            .join(name)
    }

    /// Sends SIGTERM. Returns how long the end took, and what the contestant printed.
    ///
    /// # Errors
    ///
    /// If it does not end in time, or fails, or prints no ledger.
    pub async fn stop(mut self, limit: Duration) -> Result<(Duration, Ledger)> {
        let stopped = Instant::now();
        let kill = format!("kill -TERM {}", self.child.id());
        ensure!(
            Command::new("sh").args(["-c", &kill]).status()?.success(),
            "`{kill}` failed"
        );
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            ensure!(
                stopped.elapsed() < limit,
                "it did not end within {limit:?} of SIGTERM"
            );
            tokio::time::sleep(LOOK).await;
        };
        let took = stopped.elapsed();
        ensure!(
            status.success(),
            "it ended with {status}: see {}",
            self.log.display()
        );
        let said = self.child.stdout.take().context("no stdout")?;
        for line in BufReader::new(said).lines() {
            if let Some(ledger) = Ledger::parse(&line?) {
                return Ok((took, ledger));
            }
        }
        bail!("it did not say what came: see {}", self.log.display())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has ended already, or ends now: in both cases an error does not matter.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Ledger {
    fn parse(line: &str) -> Option<Self> {
        let (handled, different) = line.strip_prefix("LEDGER ")?.split_once(' ')?;
        Some(Self {
            handled: handled.parse().ok()?,
            different: different.parse().ok()?,
        })
    }

    /// # Errors
    ///
    /// If a message was not handled, or was handled twice.
    pub fn check(self, messages: usize) -> Result<()> {
        ensure!(
            self.different == messages && self.handled == messages,
            "{messages} messages were sent, {} of them were handled, in {} calls of the handler",
            self.different,
            self.handled
        );
        Ok(())
    }
}

/// Returns the number of `VmHWM:     12345 kB`, in MiB.
fn peak(status: &str) -> Option<f64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_in_mebibytes() {
        assert_eq!(
            peak("Name:\tx\nVmHWM:\t   20480 kB\nVmRSS:\t 1 kB\n"),
            Some(20.0)
        );
        assert_eq!(peak("Name:\tx\n"), None);
    }

    #[test]
    fn each_message_must_be_handled_once() {
        let ledger = |line| Ledger::parse(line).unwrap();
        assert!(ledger("LEDGER 2 2").check(2).is_ok());
        assert!(ledger("LEDGER 3 2").check(2).is_err());
        assert!(ledger("LEDGER 1 1").check(2).is_err());
        assert_eq!(Ledger::parse("LEDGER 1"), None);
    }
}
