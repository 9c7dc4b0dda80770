//! The consumers: services in processes of their own, killed, stopped, and started again as an orchestrator would.

use std::{
    fs::OpenOptions, os::unix::process::ExitStatusExt as _, path::Path, process::Stdio,
    time::Duration,
};

use tokio::{
    process::{Child, Command},
    sync::Mutex,
};

use crate::{ledger::Ledger, support::program};

/// A place for one consumer: there is always one in it, or one on its way.
pub(crate) struct Consumer {
    /// Of its proxy, too.
    name: String,
    command: Mutex<Command>,
    child: Mutex<Child>,
    ledger: Ledger,
}

impl Consumer {
    /// Starts one that logs into `folder`. `tell` sets where its broker is.
    pub(crate) fn start(
        name: &str,
        tell: impl FnOnce(&mut Command),
        folder: &Path,
        ledger: &Ledger,
    ) -> Self {
        let mut command = program(env!("CARGO_BIN_EXE_recorded"), &[]);
        tell(&mut command);
        let log = OpenOptions::new()
            .append(true)
            .create(true)
            .open(folder.join(format!("consumer-{name}.log")))
            .unwrap();
        command
            .env("LEDGER", ledger.path())
            .env("LOAFER_ROUTES__RECORDED__CONCURRENCY", "50")
            .env("LOAFER_ROUTES__RECORDED__TIMEOUT", "7s")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = Mutex::new(spawn(&mut command, name, ledger));
        Self {
            name: name.to_owned(),
            command: Mutex::new(command),
            child,
            ledger: ledger.clone(),
        }
    }

    /// SIGKILL, nobody there for so long, and another one.
    pub(crate) async fn kill_for(&self, time: Duration) {
        let mut child = self.child.lock().await;
        let pid = child.id();
        child.kill().await.unwrap();
        if let Some(pid) = pid {
            self.ledger.write(&format!("killed {pid}"));
        }
        tokio::time::sleep(time).await;
        *child = self.spawn().await;
    }

    /// SIGSTOP, and SIGCONT after so long. It may be on its way: then it is left alone.
    pub(crate) async fn stop_for(&self, time: Duration) {
        let child = self.child.lock().await;
        let Some(pid) = child.id() else { return };
        self.ledger.write(&format!("stopped {pid}"));
        signal("STOP", pid).await;
        tokio::time::sleep(time).await;
        signal("CONT", pid).await;
        self.ledger.write(&format!("continued {pid}"));
    }

    /// Starts another whenever one ends by itself, as one does that finds no server.
    pub(crate) async fn keep_up(&self) {
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let mut child = self.child.lock().await;
            let pid = child.id();
            if let (Some(status), Some(pid)) = (child.try_wait().unwrap(), pid) {
                self.ledger.write(&format!("ended {pid} {status}"));
                *child = self.spawn().await;
            }
        }
    }

    /// Stops it as an orchestrator does: it ends well, or had not begun.
    pub(crate) async fn terminate(self) {
        let mut child = self.child.into_inner();
        if let Some(pid) = child.id() {
            signal("TERM", pid).await;
        }
        let status = child.wait().await.unwrap();
        let well = status.success() || status.signal() == Some(15);
        assert!(well, "an idle consumer ended so: {status}");
    }

    async fn spawn(&self) -> Child {
        spawn(&mut *self.command.lock().await, &self.name, &self.ledger)
    }
}

fn spawn(command: &mut Command, name: &str, ledger: &Ledger) -> Child {
    let child = command.spawn().unwrap();
    ledger.write(&format!("up {} {name}", child.id().unwrap()));
    child
}

async fn signal(name: &str, pid: u32) {
    let sent = Command::new("kill")
        .args(["-s", name, &pid.to_string()])
        .status()
        .await;
    assert!(sent.unwrap().success(), "SIG{name} to {pid}");
}
