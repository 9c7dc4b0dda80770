//! The leash: child processes, with all they start, end when this process ends, whatever ends it.
//!
//! A child leads its own process group, and a watcher in that group reads from a pipe whose other end
//! only this process holds. When the end closes (dropped, or by the kernel after a Ctrl-C, a SIGTERM,
//! even a SIGKILL) the watcher kills the group. So no signal is handled anywhere in this crate.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// `exec` makes the child the command itself: its pid and exit status are the real ones. The watcher gets
/// the pipe as descriptor 3, since shells give background jobs an empty standard input; it gives up our
/// output, or whoever reads that would wait for the watcher, too.
const SCRIPT: &str = r#"
    exec 3<&0 </dev/null
    (read -r _; kill -KILL 0) <&3 >/dev/null 2>&1 3<&- &
    exec "$@" 3<&-
"#;

/// How often a wait with a deadline looks at its child.
const TICK: Duration = Duration::from_millis(50);

/// A command to be started by [`Leashed::spawn`]; its standard input is the leash.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", SCRIPT, "sh"]).arg(program);
    command.process_group(0).stdin(Stdio::piped());
    command
}

/// A running child. Dropping it kills it and everything it started.
#[derive(Debug)]
pub(crate) struct Leashed {
    child: Child,
    /// Held apart from `child`, whose `wait` would close it and so kill what it waits for.
    leash: Option<ChildStdin>,
}

impl Leashed {
    /// Starts what [`command`] made.
    pub(crate) fn spawn(mut command: Command) -> Result<Self> {
        let mut child = command
            .spawn()
            .with_context(|| format!("can't start {command:?}: `sh` must be on the PATH"))?;
        // The command owns our copies of the pipes it was given; a reader sees their end only without it.
        drop(command);
        let leash = child.stdin.take();
        Ok(Self { child, leash })
    }

    /// The status of a child which has ended.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child
            .try_wait()
            .context("can't ask the system whether a child process has ended")
    }

    /// Waits for the child to end, then kills what it left behind.
    pub(crate) fn wait(mut self, limit: Option<Duration>) -> Result<ExitStatus> {
        let Some(limit) = limit else {
            return self.child.wait().context("can't wait for a child process");
        };
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                bail!("it did not end within {limit:?} and was killed");
            }
            thread::sleep(TICK);
        }
    }
}

impl Drop for Leashed {
    fn drop(&mut self) {
        drop(self.leash.take());
        // Nothing to do about an error: the group is dead or dying by now.
        let _ = self.child.wait();
    }
}

/// Runs a command to its end and shows each line of its output, both streams in their order, to `see`.
pub(crate) fn lines(
    mut command: Command,
    limit: Option<Duration>,
    mut see: impl FnMut(&str) + Send,
) -> Result<ExitStatus> {
    let (reader, writer) = io::pipe().context("can't make a pipe")?;
    let second = writer.try_clone().context("can't copy a pipe")?;
    command.stdout(writer).stderr(second);
    let child = Leashed::spawn(command)?;
    thread::scope(|scope| {
        // Apart from the wait: a process left behind by the child would hold the pipe open for ever.
        scope.spawn(move || {
            let mut reader = BufReader::new(reader);
            let mut line = Vec::new();
            while matches!(reader.read_until(b'\n', &mut line), Ok(1..)) {
                see(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']));
                line.clear();
            }
        });
        child.wait(limit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut shell = command("sh");
        shell.args(["-c", script]);
        shell
    }

    fn output(script: &str, limit: Option<Duration>) -> (Result<ExitStatus>, Vec<String>) {
        let mut seen = Vec::new();
        let status = lines(shell(script), limit, |line| seen.push(line.to_owned()));
        (status, seen)
    }

    #[test]
    fn both_streams_and_the_exit_status_come_through() {
        let (status, seen) = output("echo one; echo two >&2; echo three; exit 7", None);
        assert_eq!(status.map(|status| status.code()).ok(), Some(Some(7)));
        assert_eq!(seen, ["one", "two", "three"]);
    }

    #[test]
    fn what_a_child_leaves_behind_does_not_hold_us() {
        let (status, seen) = output("sleep 600 & echo done", None);
        assert!(status.is_ok_and(|status| status.success()));
        assert_eq!(seen, ["done"]);
    }

    #[test]
    fn a_child_past_its_limit_is_killed() {
        let (status, _) = output("sleep 600", Some(Duration::from_millis(100)));
        let error = status.map_err(|error| error.to_string());
        assert_eq!(
            error,
            Err("it did not end within 100ms and was killed".to_owned())
        );
    }
}
