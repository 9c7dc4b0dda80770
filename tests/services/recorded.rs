//! A service that writes into a ledger what it is asked and what it says, before it says it.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    sync::OnceLock,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;
use loafer::{
    outcome::{IntoOutcome, Verdict},
    prelude::*,
};
use serde::Deserialize;

/// Where the ledger is: the lines of several processes come in the order in which they were written.
static LEDGER: OnceLock<File> = OnceLock::new();

/// How often this process looks whether it is still running.
const BEAT: Duration = Duration::from_millis(20);
/// A beat that comes so late is written down: who doesn't run can't keep a lease.
const FROZEN: Duration = Duration::from_millis(150);

/// What `later` asks for: no delay queue of RabbitMQ has this delay, and SQS delays by whole seconds.
const LATER: Duration = Duration::from_millis(1_500);

/// A message: what it does on its first attempts, one after the other, and from then on.
#[derive(Deserialize)]
struct Job {
    id: u64,
    work_ms: u64,
    first: Vec<Step>,
    then: Step,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Step {
    Ack,
    Decline,
    Later,
    Fail,
    Panic,
    /// Longer than the route's `timeout`.
    Hang,
    Reject,
    /// Ends this process.
    Crash,
}

/// An attempt, which writes down whatever becomes of it.
struct Attempt {
    id: u64,
    number: u32,
    said: bool,
}

impl Attempt {
    fn start(id: u64, number: u32) -> Self {
        write(&format!("start {id} {number} {}", std::process::id()));
        Self {
            id,
            number,
            said: false,
        }
    }

    fn say(mut self, what: &str) {
        self.said = true;
        write(&format!(
            "said {} {} {} {what}",
            self.id,
            self.number,
            std::process::id()
        ));
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.said {
            write(&format!(
                "left {} {} {}",
                self.id,
                self.number,
                std::process::id()
            ));
        }
    }
}

#[handler(route = "recorded")]
async fn recorded(job: Job, metadata: Metadata) -> Step {
    let attempt = Attempt::start(job.id, metadata.attempt());
    let before = metadata.attempt().saturating_sub(1) as usize;
    let step = job.first.get(before).copied().unwrap_or(job.then);
    if job.work_ms > 0 {
        tokio::time::sleep(Duration::from_millis(job.work_ms)).await;
    }
    if matches!(step, Step::Hang) {
        std::future::pending::<()>().await;
    }
    if matches!(step, Step::Crash) {
        write(&format!("dying {}", std::process::id()));
        std::process::abort();
    }
    attempt.say(step.word());
    if matches!(step, Step::Panic) {
        panic!("told to panic");
    }
    step
}

impl Step {
    fn word(self) -> &'static str {
        match self {
            Self::Ack => "true",
            Self::Decline => "false",
            Self::Later => "later",
            Self::Fail => "err",
            Self::Panic => "panic",
            Self::Hang | Self::Crash => "nothing",
            Self::Reject => "reject",
        }
    }
}

impl IntoOutcome for Step {
    fn into_outcome(self) -> Verdict {
        let after = LATER;
        let reason = "told to".into();
        match self {
            Self::Ack => true.into_outcome(),
            Self::Decline => false.into_outcome(),
            Self::Later => Outcome::Retry { after }.into_outcome(),
            Self::Reject => Outcome::Reject { reason }.into_outcome(),
            Self::Fail | Self::Panic | Self::Hang | Self::Crash => {
                Err::<bool, _>("told to fail").into_outcome()
            }
        }
    }
}

/// In one write, at the end of the file: lines of several handlers and processes do not mix.
fn write(line: &str) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let line = format!("{} {line}\n", now.unwrap_or_default().as_millis());
    let written = LEDGER.get().map(|mut ledger| ledger.write(line.as_bytes()));
    // What is not in the ledger did not happen: such a process must not ack.
    if !matches!(written, Some(Ok(length)) if length == line.len()) {
        std::process::abort();
    }
}

async fn setup(app: App) -> anyhow::Result<App> {
    let path = std::env::var_os("LEDGER").context("set LEDGER to the file to write into")?;
    let ledger = OpenOptions::new().append(true).create(true).open(path)?;
    LEDGER.get_or_init(|| ledger);
    thread::spawn(|| {
        loop {
            let begin = Instant::now();
            thread::sleep(BEAT);
            let late = begin.elapsed().saturating_sub(BEAT);
            if late >= FROZEN {
                let pid = std::process::id();
                write(&format!("frozen {pid} {}", late.as_millis()));
            }
        }
    });
    Ok(app)
}

loafer::main!(setup);
