//! The proxy between a client and the server: passes calls on, or does to them what a network does.

mod call;
mod frame;

use std::{io, time::Duration};

use tokio::{
    io::{AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::Instant,
};

use self::{
    call::{Call, Deliveries},
    frame::{Frame, Frames},
};
use crate::ledger::Ledger;

/// A server that takes so long for a call costs leases: the machine is busy.
const SLUGGISH: Duration = Duration::from_millis(150);

/// What it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Pass,
    /// Closes connections, old and new.
    Cut,
    /// Keeps connections open and passes nothing on.
    Stall,
    /// So many bytes a second.
    Slow(usize),
    /// Passes calls on, and closes the connection instead of giving the answer.
    Swallow,
    /// Says of some entries of a batch that they failed, as SQS does inside a 200, and does not pass them on.
    Refuse,
}

/// A proxy, on tasks of its own.
pub(crate) struct Proxy {
    name: String,
    url: String,
    mode: watch::Sender<Mode>,
    ledger: Ledger,
}

impl Proxy {
    /// Starts it in front of a server on this port.
    pub(crate) async fn start(name: &str, server: u16, ledger: &Ledger) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (mode, now) = watch::channel(Mode::Pass);
        let link = Link {
            server,
            mode: now,
            deliveries: Deliveries::default(),
            ledger: ledger.clone(),
        };
        tokio::spawn(serve(listener, link.into()));
        Self {
            name: name.to_owned(),
            url,
            mode,
            ledger: ledger.clone(),
        }
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// Is in this mode for so long.
    pub(crate) async fn be(&self, mode: Mode, time: Duration) {
        let word = match mode {
            Mode::Slow(_) => "slow".to_owned(),
            mode => format!("{mode:?}").to_lowercase(),
        };
        self.ledger.write(&format!("trouble {} {word}", self.name));
        self.mode.send_replace(mode);
        tokio::time::sleep(time).await;
        self.mode.send_replace(Mode::Pass);
        self.ledger.write(&format!("over {}", self.name));
    }
}

/// What the connections of a proxy share.
struct Link {
    server: u16,
    mode: watch::Receiver<Mode>,
    deliveries: Deliveries,
    ledger: Ledger,
}

async fn serve(listener: TcpListener, link: std::sync::Arc<Link>) {
    while let Ok((client, _)) = listener.accept().await {
        let link = link.clone();
        tokio::spawn(async move {
            let mut mode = link.mode.clone();
            tokio::select! {
                biased;
                _ = mode.wait_for(|mode| *mode == Mode::Cut) => {}
                // A connection that breaks is the client's to see.
                _ = link.pass(client) => {}
            }
        });
    }
}

impl Link {
    /// Passes the calls of a connection on, until either side closes it.
    async fn pass(&self, mut client: TcpStream) -> io::Result<()> {
        let mut server = TcpStream::connect(("127.0.0.1", self.server)).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (mut from_client, mut to_client) = client.split();
        let (mut from_server, mut to_server) = server.split();
        let (mut requests, mut answers) = (Frames::default(), Frames::default());
        loop {
            let request = tokio::select! {
                request = requests.next(&mut from_client) => request?,
                _ = answers.next(&mut from_server) => None,
            };
            let Some(mut request) = request else {
                return Ok(());
            };
            let mut call = Call::new(&request, &self.deliveries, &self.ledger);
            self.stalled().await;
            let refused = match self.mode() {
                Mode::Refuse => call.refuse_some(&mut request),
                _ => None,
            };
            let mut answer = match refused {
                Some(answer) => answer,
                None => {
                    self.write(&request, &mut to_server).await?;
                    let asked = Instant::now();
                    let answer = tokio::select! {
                        answer = answers.next(&mut from_server) => answer?,
                        // Who hangs up, or goes on talking, wants no answer.
                        _ = requests.next(&mut from_client) => None,
                    };
                    if !call.waits() && asked.elapsed() > SLUGGISH {
                        let took = asked.elapsed().as_millis();
                        self.ledger.write(&format!("sluggish server {took}"));
                    }
                    answer.ok_or(io::ErrorKind::UnexpectedEof)?
                }
            };
            call.answered(&mut answer, &self.deliveries);
            if self.mode() == Mode::Swallow {
                return Ok(());
            }
            self.stalled().await;
            self.write(&answer, &mut to_client).await?;
            call.through(&answer);
        }
    }

    fn mode(&self) -> Mode {
        *self.mode.borrow()
    }

    async fn stalled(&self) {
        // An end of the proxy ends the stall.
        _ = self
            .mode
            .clone()
            .wait_for(|mode| *mode != Mode::Stall)
            .await;
    }

    async fn write(&self, frame: &Frame, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let bytes = frame.bytes();
        let mut left = &bytes[..];
        while let Mode::Slow(rate) = self.mode()
            && !left.is_empty()
        {
            // In tenths of a second.
            let (some, rest) = left.split_at(left.len().min(rate / 10));
            tokio::time::sleep(Duration::from_millis(100)).await;
            to.write_all(some).await?;
            left = rest;
        }
        to.write_all(left).await
    }
}
