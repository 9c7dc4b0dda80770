//! A contestant at work: a process of its own, which measures itself.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

use super::task;

/// The longest work.
const LIMIT: Duration = Duration::from_mins(3);
/// The longest end.
const END: Duration = Duration::from_secs(40);

/// The task of a contestant.
#[derive(Clone, Copy, Debug)]
pub struct Orders<'q> {
    /// Where RabbitMQ is.
    pub url: &'q str,
    /// The queue's name.
    pub queue: &'q str,
    /// `publish` or `consume`.
    pub work: &'q str,
    /// Which loop.
    pub style: &'q str,
    /// Messages delivered, and not yet acked, at most.
    pub prefetch: u16,
    /// How many messages.
    pub messages: usize,
}

/// What its work took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Took {
    /// Messages a second.
    pub rate: f64,
    /// CPU seconds for 1,000 messages, its own.
    pub cpu: f64,
}

/// A running contestant; killed when dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
    log: PathBuf,
}

impl Program {
    /// Starts it; what it writes to stderr goes into a file beside our own program.
    ///
    /// # Errors
    ///
    /// No such program, or no such file can be made.
    pub fn start(program: &Path, orders: Orders<'_>) -> Result<Self> {
        let log = std::env::current_exe()?
            .with_file_name(program.file_name().unwrap_or_default())
            .with_extension("log");
        let mut command = Command::new(program);
        // Loafer takes them for its configuration.
        let ours = std::env::vars_os().map(|(name, _)| name);
        for name in ours.filter(|name| name.to_string_lossy().starts_with("LOAFER_")) {
            command.env_remove(name);
        }
        let mut child = command
            .env(task::URL, orders.url)
            .env(task::QUEUE, orders.queue)
            .env(task::WORK, orders.work)
            .env(task::STYLE, orders.style)
            .env(task::PREFETCH, orders.prefetch.to_string())
            .env(task::MESSAGES, orders.messages.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).with_context(|| format!("can't make {}", log.display()))?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("can't start {}", program.display()))?;
        let said = child.stdout.take().context("no stdout")?;
        Ok(Self {
            child,
            said: BufReader::new(said).lines(),
            log,
        })
    }

    /// Waits until its work is done.
    ///
    /// # Errors
    ///
    /// It is not done in time, or the program ended before.
    pub async fn took(&mut self, messages: usize) -> Result<Took> {
        let [seconds, cpu] = self.numbers("TOOK", LIMIT).await?;
        Ok(Took {
            rate: messages as f64 / seconds,
            cpu: cpu / messages as f64 * 1000.0,
        })
    }

    /// Sends SIGTERM, and waits for its end; with `handled`, each of so many messages must have been handled once.
    ///
    /// # Errors
    ///
    /// It does not end in time, or not well, or messages were handled twice or not at all.
    pub async fn stop(mut self, handled: Option<usize>) -> Result<()> {
        let id = self.child.id().context("it has ended before")?;
        let kill = Command::new("kill")
            .args(["-s", "TERM", &id.to_string()])
            .status();
        ensure!(kill.await?.success(), "`kill -s TERM {id}` failed");
        let [times, different] = self.numbers("LEDGER", END).await?;
        let log = self.log.display();
        let ended = timeout(END, self.child.wait()).await;
        let status = ended.with_context(|| format!("it does not end: see {log}"))??;
        ensure!(status.success(), "it ended with {status}: see {log}");
        if let Some(messages) = handled {
            ensure!(
                [times, different] == [messages as f64; 2],
                "{messages} messages were sent, {different} of them were handled, in {times} calls of the handler"
            );
        }
        Ok(())
    }

    /// The two numbers after this word.
    async fn numbers(&mut self, word: &str, limit: Duration) -> Result<[f64; 2]> {
        let log = self.log.clone();
        let search = async {
            while let Some(line) = self.said.next_line().await? {
                if let Some(numbers) = parse(&line, word) {
                    return Ok(numbers);
                }
            }
            bail!("it ended without {word}: see {}", log.display());
        };
        let found = timeout(limit, search).await;
        found.with_context(|| format!("no {word} within {limit:?}: see {}", log.display()))?
    }
}

fn parse(line: &str, word: &str) -> Option<[f64; 2]> {
    let (first, second) = line.strip_prefix(word)?.trim().split_once(' ')?;
    Some([first.parse().ok()?, second.parse().ok()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_numbers_follow_their_word() {
        assert_eq!(parse("TOOK 1.5 0.25", "TOOK"), Some([1.5, 0.25]));
        assert_eq!(parse("LEDGER 3 2", "TOOK"), None);
        assert_eq!(parse("TOOK 1.5", "TOOK"), None);
    }
}
