//! A RabbitMQ of one test, which the test kills, restarts, empties and blocks.

use std::{
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::Command,
    time::{Instant, sleep, timeout},
};

use crate::{
    Management, Setup,
    leash::Leashed,
    port::{self, Ports},
    turn,
};

/// How long to wait for something: longer than a start or an end takes on a machine that is also building.
const DEADLINE: Duration = Duration::from_secs(300);
/// How long one try may take.
const LOOK: Duration = Duration::from_secs(5);
/// The pause between two tries.
const TICK: Duration = Duration::from_millis(50);
/// How often its first start is tried, should a stranger take one of its ports.
const STARTS: usize = 3;
/// What its log says then.
const TAKEN: &str = "eaddrinuse";
/// The environment variables with its ports, in the order of [`Broker::ports`].
const PORTS: [&str; 4] = ["PORT", "MANAGEMENT_PORT", "DISTRIBUTION_PORT", "EPMD_PORT"];

/// A RabbitMQ of one test. It is killed when it is dropped.
///
/// A quorum queue that was declared less than a second before [`Broker::kill`] stays broken after the restart: RabbitMQ answers its consumers
/// with the error 541. So a test waits that long after it has declared one: see [`Broker::settled`].
///
/// Methods panic if the broker does not do what they ask within 300 s. The message has the end of its log.
#[derive(Debug)]
pub struct Broker {
    /// A shell command: with the argument `serve` it runs the broker, with `ctl` and further arguments it runs `rabbitmqctl`.
    command: String,
    /// The ports of [`PORTS`], and the one for TLS. They stay its own while it is down.
    ports: Ports<5>,
    /// Whether it listens for TLS.
    tls: bool,
    /// The folder with its files. It is removed at the end, unless the test failed.
    folder: PathBuf,
    management: Management,
    /// `None` while it is down.
    process: Option<Leashed>,
}

impl Broker {
    pub(crate) async fn start(command: &str, parent: &Path, setup: &Setup) -> Self {
        Self::start_on(command, parent, setup, Ports::take).await
    }

    /// Starts it on the ports that `take` returns. If a stranger has one of them, starts it on the next ones.
    async fn start_on(
        command: &str,
        parent: &Path,
        setup: &Setup,
        mut take: impl FnMut() -> Ports<5>,
    ) -> Self {
        let mut starts = 1;
        loop {
            let mut broker = Self::on(take(), command, parent, setup);
            let Err(why) = broker.try_start().await else {
                return broker;
            };
            drop(broker.process.take());
            assert!(broker.lacks_port() && starts < STARTS, "{why}");
            starts += 1;
        }
    }

    fn on(ports: Ports<5>, command: &str, parent: &Path, setup: &Setup) -> Self {
        let name = format!("rabbitmq-{}-{:08x}", std::process::id(), fastrand::u32(..));
        let folder = parent.join(name);
        fs::create_dir_all(&folder).expect("the test's folder can be made");
        let [_, management, .., tls] = ports.numbers();
        setup.write(&folder, tls);
        Self {
            command: command.to_owned(),
            ports,
            tls: setup.has_tls(),
            management: Management::at(&format!("http://127.0.0.1:{management}")),
            folder,
            process: None,
        }
    }

    /// Returns its address `amqp://…`, with a user who may do everything. It is the same after every restart.
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port())
    }

    /// Returns the port on which it listens on 127.0.0.1, for a proxy in front of it.
    pub fn port(&self) -> u16 {
        self.ports.numbers()[0]
    }

    /// Returns the port on which it listens for TLS on 127.0.0.1, if [`Setup::tls`] is set.
    pub fn tls_port(&self) -> u16 {
        self.ports.numbers()[4]
    }

    /// Returns its management API.
    pub fn management(&self) -> &Management {
        &self.management
    }

    /// Waits until a queue that was declared just now survives a kill: 1.5 s.
    pub async fn settled(&self) {
        sleep(Duration::from_millis(1_500)).await;
    }

    /// Sends SIGKILL. What the broker has confirmed is on the disk, and connections end without a closing frame.
    pub async fn kill(&mut self) {
        self.running().kill().await;
        self.gone().await;
    }

    /// Sends SIGTERM and waits for its orderly end, which takes some 6 s. Clients get a closing frame.
    pub async fn stop(&mut self) {
        let mut process = self.running();
        let id = process.child.id().expect("it runs");
        signal("TERM", &id.to_string()).await;
        let ended = timeout(DEADLINE, process.child.wait()).await;
        assert!(ended.is_ok(), "it does not end by SIGTERM; {}", self.tail());
        process.kill().await;
        self.gone().await;
    }

    /// Starts it again after [`Broker::kill`] or [`Broker::stop`], on the same ports, with what it has on the disk. Returns when it can be used.
    pub async fn restart(&mut self) {
        assert!(self.process.is_none(), "it runs: kill or stop it first");
        if let Err(why) = self.try_start().await {
            panic!("{why}");
        }
    }

    /// Kills it, and starts an empty broker on the same ports. Every exchange, queue and message is gone.
    pub async fn replace_by_empty(&mut self) {
        self.kill().await;
        for folder in ["db", "logs"] {
            // A folder may be missing.
            fs::remove_dir_all(self.folder.join(folder)).ok();
        }
        self.restart().await;
    }

    /// Stops its process until [`Broker::resume`]. Connections stay open, and nothing is answered.
    pub async fn freeze(&self) {
        signal("STOP", &self.pid()).await;
    }

    /// Ends [`Broker::freeze`].
    pub async fn resume(&self) {
        signal("CONT", &self.pid()).await;
    }

    /// Raises its memory alarm until [`Broker::clear_memory_alarm`]. It blocks connections that publish.
    pub async fn raise_memory_alarm(&self) {
        self.ctl(&["set_vm_memory_high_watermark", "0.0001"]).await;
    }

    /// Ends [`Broker::raise_memory_alarm`].
    pub async fn clear_memory_alarm(&self) {
        self.ctl(&["set_vm_memory_high_watermark", "0.4"]).await;
    }

    /// Raises its disk alarm until [`Broker::clear_disk_alarm`]. It blocks connections that publish.
    pub async fn raise_disk_alarm(&self) {
        self.ctl(&["set_disk_free_limit", "1000000GB"]).await;
    }

    /// Ends [`Broker::raise_disk_alarm`].
    pub async fn clear_disk_alarm(&self) {
        self.ctl(&["set_disk_free_limit", "50MB"]).await;
    }

    /// Runs `rabbitmqctl` on it, which takes some 2 s. Returns what it prints.
    ///
    /// # Panics
    ///
    /// If `rabbitmqctl` fails. The message has what it printed.
    pub async fn ctl(&self, arguments: &[&str]) -> String {
        let mut ctl = Command::new("sh");
        ctl.args(["-c", &format!("exec {} ctl \"$@\"", self.command), "sh"]);
        ctl.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
        let ran = timeout(DEADLINE, self.set_up(&mut ctl).output()).await;
        let ran = ran.expect("rabbitmqctl comes to its end");
        let ran = ran.expect("`sh` is on the PATH");
        let (out, err) = (
            String::from_utf8_lossy(&ran.stdout),
            String::from_utf8_lossy(&ran.stderr),
        );
        assert!(
            ran.status.success(),
            "rabbitmqctl {arguments:?} failed:\n{out}{err}"
        );
        out.into_owned()
    }

    /// Returns when it can be used. The error says why it can't, with the end of its log.
    ///
    /// A start is work for the processor alone. Where many tests start brokers, they take turns, or none would be done in time.
    async fn try_start(&mut self) -> Result<(), String> {
        let _turn = turn::take().await;
        self.process = Some(self.spawn());
        let deadline = Instant::now() + DEADLINE;
        loop {
            // It is asked first: what answers then is no stranger on its ports.
            let process = self.process.as_mut().expect("just started");
            if let Some(status) = process.child.try_wait().expect("its status can be asked") {
                return Err(format!("it ended by itself ({status}); {}", self.tail()));
            }
            if self.answers().await {
                return Ok(());
            }
            // Its own end may take a minute.
            if self.lacks_port() {
                return Err(format!("it lacks a port; {}", self.tail()));
            }
            if Instant::now() >= deadline {
                return Err(format!("it does not answer; {}", self.tail()));
            }
            sleep(TICK).await;
        }
    }

    /// Returns whether it did not start because somebody else listens on one of its ports.
    fn lacks_port(&self) -> bool {
        let log = fs::read(self.log()).unwrap_or_default();
        String::from_utf8_lossy(&log).contains(TAKEN)
    }

    fn running(&mut self) -> Leashed {
        self.process.take().expect("it is down: restart it first")
    }

    fn spawn(&self) -> Leashed {
        let log = OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.log())
            .expect("its log can be written");
        let errors = log.try_clone().expect("a file has two handles");
        let mut serve = Command::new("sh");
        serve.stdout(log).stderr(errors);
        Leashed::spawn(self.set_up(&mut serve), &self.command, "serve")
    }

    /// Puts its folder and its ports into the environment of a command.
    fn set_up<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        let ports = self.ports.numbers().map(|port| port.to_string());
        command
            .env("DATA", &self.folder)
            .envs(PORTS.into_iter().zip(ports))
    }

    /// Returns whether it answers AMQP and the management API, and listens for TLS if it should.
    async fn answers(&self) -> bool {
        let greeted = timeout(LOOK, greeted(self.port())).await;
        matches!(greeted, Ok(Ok(true)))
            && self.management.answers().await
            && (!self.tls || listens(self.tls_port()).await)
    }

    /// Waits until none of its processes listens. They end one after the other.
    async fn gone(&self) {
        let deadline = Instant::now() + DEADLINE;
        while !self.ports.numbers().into_iter().all(port::is_free) {
            assert!(Instant::now() < deadline, "somebody still listens");
            sleep(TICK).await;
        }
    }

    /// Returns the process id of the Erlang virtual machine, not that of the shell that started it.
    fn pid(&self) -> String {
        let pid = fs::read_to_string(self.folder.join("pid"));
        pid.expect("it has written its pid").trim().to_owned()
    }

    /// Returns the path of its log.
    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Returns the end of its log, for the message of a panic.
    fn tail(&self) -> String {
        let log = fs::read(self.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(30)..].join("\n  ");
        format!("its log {} ends\n  {tail}", self.log().display())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.process.take());
        if !std::thread::panicking() {
            // It may still write for a moment. What it leaves in the target folder does no harm.
            fs::remove_dir_all(&self.folder).ok();
        }
    }
}

async fn signal(name: &str, pid: &str) {
    let sent = Command::new("kill").args(["-s", name, pid]).status().await;
    assert!(sent.is_ok_and(|status| status.success()), "kill -s {name}");
}

/// Returns whether a server takes connections on the port. To bind it for a moment would tell, too, but the server could not then.
async fn listens(port: u16) -> bool {
    let connected = timeout(LOOK, TcpStream::connect(("127.0.0.1", port))).await;
    matches!(connected, Ok(Ok(_)))
}

/// Returns whether a server answers AMQP 0-9-1 on the port: its first frame is a method, type 1.
async fn greeted(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(b"AMQP\0\0\x09\x01").await?;
    Ok(stream.read_u8().await? == 1)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::{RabbitMq, Version};

    #[tokio::test]
    async fn where_a_stranger_has_its_port_it_starts_on_others() {
        let test = "where_a_stranger_has_its_port_it_starts_on_others";
        let Some(rabbit) = RabbitMq::installed(Version::Debian, test) else {
            return;
        };
        let mut strangers = Vec::new();
        let take = || {
            let ports = Ports::take();
            // The port of the management API: it is the last one that a broker takes.
            if strangers.is_empty() {
                strangers.push(TcpListener::bind(("127.0.0.1", ports.numbers()[1])).unwrap());
            }
            ports
        };
        let parent = std::env::temp_dir();
        let setup = Setup::default();
        let broker = Broker::start_on(rabbit.command(), &parent, &setup, take).await;
        let stranger = strangers[0].local_addr().unwrap().port();
        assert!(broker.management().answers().await);
        assert!(!broker.ports.numbers().contains(&stranger));
    }
}
