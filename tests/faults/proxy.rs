//! The proxy between a client and the server: passes on what they say, or does to it what a network does.

use std::{future::Future, io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::ledger::Ledger;

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
    /// Passes on what the client says, and closes the connection instead of giving the answer.
    Swallow,
    /// Sees to it that some of what the client wants is refused, as the broker itself refuses it.
    Refuse,
}

/// How a proxy reads what it passes on, and what it writes to the ledger of it.
pub(crate) trait Wire: Send + Sync + 'static {
    /// Passes on what the two ends of a connection say, until either closes it.
    ///
    /// Dropped where the connection is cut.
    fn pass(
        &self,
        link: &Link,
        client: TcpStream,
        server: TcpStream,
    ) -> impl Future<Output = io::Result<()>> + Send;
}

/// A proxy, on tasks of its own.
pub(crate) struct Proxy {
    name: String,
    port: u16,
    mode: watch::Sender<Mode>,
    ledger: Ledger,
}

impl Proxy {
    /// Starts it in front of a server on this port.
    pub(crate) async fn start(name: &str, server: u16, wire: impl Wire, ledger: &Ledger) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (mode, now) = watch::channel(Mode::Pass);
        let link = Link {
            server,
            mode: now,
            ledger: ledger.clone(),
        };
        tokio::spawn(serve(listener, Arc::new((link, wire))));
        Self {
            name: name.to_owned(),
            port,
            mode,
            ledger: ledger.clone(),
        }
    }

    /// Where it listens on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
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
pub(crate) struct Link {
    server: u16,
    mode: watch::Receiver<Mode>,
    pub(crate) ledger: Ledger,
}

async fn serve<W: Wire>(listener: TcpListener, shared: Arc<(Link, W)>) {
    while let Ok((client, _)) = listener.accept().await {
        let shared = shared.clone();
        tokio::spawn(async move {
            let (link, wire) = &*shared;
            let mut mode = link.mode.clone();
            tokio::select! {
                biased;
                _ = mode.wait_for(|mode| *mode == Mode::Cut) => {}
                // A connection that breaks is the client's to see.
                _ = link.connect(wire, client) => {}
            }
        });
    }
}

impl Link {
    async fn connect(&self, wire: &impl Wire, client: TcpStream) -> io::Result<()> {
        let server = TcpStream::connect(("127.0.0.1", self.server)).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        wire.pass(self, client, server).await
    }

    pub(crate) fn mode(&self) -> Mode {
        *self.mode.borrow()
    }

    /// Waits until something is passed on again.
    pub(crate) async fn stalled(&self) {
        // An end of the proxy ends the stall.
        _ = self
            .mode
            .clone()
            .wait_for(|mode| *mode != Mode::Stall)
            .await;
    }

    pub(crate) async fn write(
        &self,
        bytes: &[u8],
        to: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<()> {
        let mut left = bytes;
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
