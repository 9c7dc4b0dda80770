//! The server: a fauxqs that keeps its data, killed and started again on its port.

use std::{env, path::PathBuf, process::Stdio, time::Duration};

use loafer_test_servers::Ports;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::{Child, Command},
    time::{Instant, timeout},
};

use crate::{ledger::Ledger, support::DEADLINE};

/// A shell's command that runs fauxqs on `PORT`, with its data in `DATA`.
const COMMAND: &str = "LOAFER_TEST_FAUXQS_COMMAND";

/// A server. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    command: String,
    /// It stays its own while it is down.
    port: Ports<1>,
    folder: PathBuf,
    ledger: Ledger,
    process: Child,
}

impl Server {
    /// How it is started, or a word about it where nobody said.
    pub(crate) fn command(test: &str) -> Option<String> {
        let command = env::var(COMMAND).ok();
        if command.is_none() {
            eprintln!("skipped: {test}: set {COMMAND}, or run cargo xtask test");
        }
        command
    }

    /// Starts it with its data in this folder.
    pub(crate) async fn start(command: String, folder: PathBuf, ledger: Ledger) -> Self {
        let port = Ports::take();
        let process = spawn(&command, port.numbers()[0], &folder);
        let mut server = Self {
            command,
            port,
            folder,
            ledger,
            process,
        };
        server.ready().await;
        server
    }

    pub(crate) fn port(&self) -> u16 {
        self.port.numbers()[0]
    }

    /// SIGKILL, nobody there for so long, and a start with what it kept.
    pub(crate) async fn kill_for(&mut self, time: Duration) {
        self.ledger.write("trouble server down");
        self.process.kill().await.unwrap();
        tokio::time::sleep(time).await;
        self.process = spawn(&self.command, self.port(), &self.folder);
        self.ready().await;
        self.ledger.write("over server");
    }

    async fn ready(&mut self) {
        let deadline = Instant::now() + DEADLINE;
        while !matches!(
            timeout(Duration::from_secs(2), healthy(self.port())).await,
            Ok(Ok(true))
        ) {
            if let Some(status) = self.process.try_wait().unwrap() {
                let log = std::fs::read_to_string(self.folder.join("log"));
                panic!(
                    "the server ended by itself ({status}):\n{}",
                    log.unwrap_or_default()
                );
            }
            assert!(Instant::now() < deadline, "the server does not answer");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn spawn(command: &str, port: u16, folder: &PathBuf) -> Child {
    std::fs::create_dir_all(folder).unwrap();
    let log = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(folder.join("log"))
        .unwrap();
    Command::new("sh")
        // The shell becomes the server: a kill meets it, and nothing stays.
        .args(["-c", &format!("exec {command}")])
        .env("PORT", port.to_string())
        .env("DATA", folder.join("data"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Whether `GET /health` is answered with 200.
async fn healthy(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await?;
    let mut status = [0; 12];
    stream.read_exact(&mut status).await?;
    Ok(&status == b"HTTP/1.1 200")
}
