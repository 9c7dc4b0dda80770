//! The running servers, from their start to their end.

use std::fs::{self, File};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::folder::Folder;
use super::{Ports, Server, port};
use crate::leash::Leashed;

/// Until a server must answer: a JVM on a machine which is also building takes its time.
const LIMIT: Duration = Duration::from_mins(5);

/// Between two looks at a server which is starting.
const TICK: Duration = Duration::from_millis(50);

/// Starts of one server, should others take one of its ports first.
const STARTS: u8 = 3;

/// What a server says that found its port taken, in any case.
const TAKEN: [&str; 2] = ["address already in use", "eaddrinuse"];

/// How many of its last lines show what is wrong with a server.
const TAIL: usize = 20;

/// Servers that answer, until dropped. In this order: the processes end before their folder goes.
#[derive(Debug)]
pub(crate) struct Running {
    servers: Vec<Process>,
    folder: Folder,
}

#[derive(Debug)]
struct Process {
    server: Server,
    ports: Ports,
    log: PathBuf,
    leashed: Leashed,
}

impl Running {
    pub(crate) fn start(servers: &[Server]) -> Result<Self> {
        let mut running = Self {
            servers: Vec::new(),
            folder: Folder::create()?,
        };
        let ready = running.start_all(servers);
        if ready.is_err() {
            running.keep_logs();
        }
        ready.map(|()| running)
    }

    /// All are spawned before the first is waited for: they start at the same time.
    fn start_all(&mut self, servers: &[Server]) -> Result<()> {
        let begin = Instant::now();
        for &server in servers {
            let process = Process::spawn(server, &self.folder)?;
            self.servers.push(process);
        }
        for process in &mut self.servers {
            process.ready(&self.folder, begin + LIMIT)?;
            let (name, url) = (process.server.name(), process.url());
            eprintln!(
                "xtask: {name} answers on {url} after {:.1} s",
                begin.elapsed().as_secs_f32()
            );
        }
        Ok(())
    }

    /// The variables which tell the tests where the servers are.
    pub(crate) fn variables(&self) -> Result<Vec<(&'static str, String)>> {
        let mut all = Vec::new();
        for process in &self.servers {
            let values = process.server.values(&process.ports)?;
            all.extend(process.server.variables().iter().copied().zip(values));
        }
        Ok(all)
    }

    pub(crate) fn url(&self, server: Server) -> Option<String> {
        self.servers
            .iter()
            .find(|process| process.server == server)
            .map(Process::url)
    }

    /// An error that names a server which ended by itself.
    pub(crate) fn check(&mut self) -> Result<()> {
        let checked = self.servers.iter_mut().try_for_each(Process::alive);
        if checked.is_err() {
            self.keep_logs();
        }
        checked
    }

    /// Leaves the logs in place, and says where.
    pub(crate) fn keep_logs(&mut self) {
        self.folder.keep();
        eprintln!(
            "xtask: the servers' logs are in {}",
            self.folder.path().display()
        );
    }
}

impl Process {
    fn spawn(server: Server, folder: &Folder) -> Result<Self> {
        let ports = port::free()?;
        let run = folder.path().join(server.name());
        fs::create_dir_all(&run)
            .with_context(|| format!("can't make the folder {}", run.display()))?;
        let log = run.join("log");
        let file = File::create(&log).with_context(|| format!("can't make {}", log.display()))?;
        let errors = file.try_clone().context("can't copy a file handle")?;

        let mut command = server.command(&run, &ports)?;
        command.current_dir(&run).stdout(file).stderr(errors);
        let leashed = Leashed::spawn(command)?;
        Ok(Self {
            server,
            ports,
            log,
            leashed,
        })
    }

    /// Waits for an answer; where another process took a port first, starts again on others.
    fn ready(&mut self, folder: &Folder, deadline: Instant) -> Result<()> {
        let mut starts = 1;
        loop {
            // Asked first: what answers then is no stranger on its port.
            if let Err(error) = self.alive() {
                if starts == STARTS || !self.lacks_port() {
                    return Err(error);
                }
                starts += 1;
                *self = Self::spawn(self.server, folder)?;
            }
            if self.server.answers(&self.ports) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                bail!(
                    "{} did not answer on {} within {LIMIT:?}; {}",
                    self.server.name(),
                    self.url(),
                    self.tail()
                );
            }
            thread::sleep(TICK);
        }
    }

    /// Whether it says so in its log, of which the tail may show only what that led to.
    fn lacks_port(&self) -> bool {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).to_lowercase();
        TAKEN.iter().any(|taken| log.contains(taken))
    }

    fn alive(&mut self) -> Result<()> {
        match self.leashed.ended()? {
            None => Ok(()),
            Some(status) => bail!(
                "{} ended by itself ({status}); {}",
                self.server.name(),
                self.tail()
            ),
        }
    }

    fn url(&self) -> String {
        self.server.url(&self.ports)
    }

    fn tail(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n  ");
        format!("its log {} ends\n  {tail}", self.log.display())
    }
}
