//! Programs under test as child processes, and the friends API they call.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses a part of it"
)]

pub mod aws;
pub mod friends;

use std::{process::Stdio, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, ChildStdin, Command},
    sync::watch,
    task::JoinHandle,
    time::timeout,
};

/// Longer than anything here takes, on a machine that is also building.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A running service. Killed when dropped.
pub struct Service {
    child: Child,
    stdin: Option<ChildStdin>,
    pub stdout: Output,
    pub stderr: Output,
}

/// What a service writes.
pub struct Output {
    text: watch::Receiver<String>,
    reader: JoinHandle<()>,
}

/// How a service ended.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A program with this command line, in a folder with no `loafer.toml` and an environment that says nothing.
pub fn program(path: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(path);
    command
        .args(arguments)
        .env_clear()
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .kill_on_drop(true);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

impl Service {
    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        Self {
            stdin: child.stdin.take(),
            stdout: Output::read(child.stdout.take().unwrap()),
            stderr: Output::read(child.stderr.take().unwrap()),
            child,
        }
    }

    /// Writes to its stdin, and closes it.
    pub async fn feed(&mut self, text: &str) {
        let mut stdin = self.stdin.take().unwrap();
        // It may have ended without reading.
        _ = stdin.write_all(text.as_bytes()).await;
    }

    pub async fn signal(&self, name: &str) {
        let id = self.child.id().unwrap().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().await;
        assert!(sent.unwrap().success());
    }

    /// Waits for its end; panics where it takes longer.
    pub async fn ended_within(mut self, limit: Duration) -> Ended {
        let status = timeout(limit, self.child.wait()).await;
        let Ok(status) = status else {
            panic!(
                "it still runs after {limit:?}; stdout:\n{}stderr:\n{}",
                self.stdout.text(),
                self.stderr.text()
            );
        };
        Ended {
            code: status.unwrap().code(),
            stdout: self.stdout.all().await,
            stderr: self.stderr.all().await,
        }
    }

    pub async fn ended(self) -> Ended {
        self.ended_within(DEADLINE).await
    }

    /// Stops it as an orchestrator does.
    pub async fn terminated(self) -> Ended {
        self.signal("TERM").await;
        self.ended().await
    }
}

/// Runs a program to its end, with nothing on stdin.
pub async fn run(command: &mut Command) -> Ended {
    Service::spawn(command.stdin(Stdio::null())).ended().await
}

impl Output {
    fn read(mut from: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let (sender, text) = watch::channel(String::new());
        let reader = tokio::spawn(async move {
            let mut bytes = Vec::new();
            // A part of a character waits for its rest.
            while let Ok(1..) = from.read_buf(&mut bytes).await {
                let whole = match std::str::from_utf8(&bytes) {
                    Ok(_) => bytes.len(),
                    Err(error) => error.valid_up_to(),
                };
                let new: Vec<u8> = bytes.drain(..whole).collect();
                sender.send_modify(|text| text.push_str(&String::from_utf8_lossy(&new)));
            }
        });
        Self { text, reader }
    }

    /// All so far.
    pub fn text(&self) -> String {
        self.text.borrow().clone()
    }

    /// All of it, once it has ended.
    async fn all(self) -> String {
        self.reader.await.unwrap();
        self.text.borrow().clone()
    }

    /// Waits until this holds for what was written; gives it.
    pub async fn wait_until(&self, what: &str, holds: impl FnMut(&str) -> bool) -> String {
        let mut text = self.text.clone();
        let mut holds = holds;
        let waited = timeout(DEADLINE, text.wait_for(|text| holds(text))).await;
        match waited {
            Ok(Ok(text)) => text.clone(),
            Ok(Err(_)) => panic!("it ended without {what}:\n{}", self.text()),
            Err(_) => panic!("there is no {what} after {DEADLINE:?}:\n{}", self.text()),
        }
    }

    pub async fn wait_for(&self, part: &str) -> String {
        self.wait_until(&format!("`{part}`"), |text| text.contains(part))
            .await
    }
}
