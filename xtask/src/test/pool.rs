//! Commands that run side by side, each with its output gathered.

use std::process::{Command, ExitStatus};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::leash;

/// A command to be run.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) name: String,
    /// On a leash.
    pub(super) command: Command,
}

/// A command that has ended.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) name: String,
    pub(super) status: Result<ExitStatus>,
    /// What it printed, both streams in their order.
    pub(super) lines: Vec<String>,
    pub(super) took: Duration,
}

/// How many run at once unless told otherwise: more than there are cores, since most of them wait.
pub(crate) fn at_once() -> usize {
    cores() + 1
}

pub(super) fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Starts the jobs in their order, `at_once` at a time, and shows each to `ended` when it has ended.
pub(super) fn run(jobs: Vec<Job>, at_once: usize, mut ended: impl FnMut(Ran)) {
    let workers = at_once.clamp(1, jobs.len().max(1));
    let jobs = Mutex::new(jobs.into_iter());
    let next = || jobs.lock().unwrap_or_else(PoisonError::into_inner).next();
    let (sender, ran) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..workers {
            let sender = sender.clone();
            scope.spawn(move || {
                while let Some(job) = next() {
                    // Nobody takes it any more: this run is being given up.
                    if sender.send(job.run()).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        ran.into_iter().for_each(&mut ended);
    });
}

impl Job {
    fn run(self) -> Ran {
        // Whoever finds a run that hangs finds here what started and did not end.
        eprintln!("xtask: runs {}", self.name);
        let began = Instant::now();
        let mut lines = Vec::new();
        let status = leash::lines(self.command, None, |line| lines.push(line.to_owned()));
        Ran {
            name: self.name,
            status,
            lines,
            took: began.elapsed(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(name: &str, script: &str) -> Job {
        let mut command = leash::command("sh");
        command.args(["-c", script]);
        Job {
            name: name.to_owned(),
            command,
        }
    }

    #[test]
    fn each_has_its_own_output_and_status() {
        let jobs = vec![shell("one", "echo 1; exit 3"), shell("two", "echo 2 >&2")];
        let mut seen = Vec::new();
        run(jobs, 2, |ran| {
            let code = ran.status.ok().and_then(|status| status.code());
            seen.push((ran.name, ran.lines, code));
        });
        seen.sort();
        let one = ("one".to_owned(), vec!["1".to_owned()], Some(3));
        let two = ("two".to_owned(), vec!["2".to_owned()], Some(0));
        assert_eq!(seen, [one, two]);
    }

    /// Each opens the pipe, which takes both: one after the other, they would wait for ever.
    #[test]
    fn they_run_at_the_same_time() {
        let pipe = std::env::temp_dir().join(format!("loafer-pool-{}", std::process::id()));
        let pipe = pipe.display();
        let jobs = vec![
            shell("make", &format!("mkfifo {pipe}; echo here > {pipe}")),
            shell(
                "read",
                &format!("until [ -p {pipe} ]; do :; done; cat {pipe}; rm {pipe}"),
            ),
        ];
        let mut lines = Vec::new();
        run(jobs, 2, |ran| lines.extend(ran.lines));
        assert_eq!(lines, ["here"]);
    }
}
