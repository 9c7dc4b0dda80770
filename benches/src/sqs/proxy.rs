//! The proxy between a contestant and SQS: it passes every byte on as it is, and counts requests by their action.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, ToSocketAddrs},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    calls::Calls,
    requests::{Request, Requests},
};

/// How many bytes are read at once.
const CHUNK: usize = 64 * 1024;

/// A proxy in a thread of its own, until the process ends.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    calls: Calls,
}

impl Proxy {
    /// Starts it in front of `http://HOST:PORT`. Every request waits for `latency`.
    ///
    /// # Errors
    ///
    /// If the endpoint has another form, or there is no port.
    pub fn start(endpoint: &str, latency: Duration) -> Result<Self> {
        let host = endpoint.strip_prefix("http://");
        let upstream = host
            .and_then(|host| host.trim_end_matches('/').to_socket_addrs().ok()?.next())
            .with_context(|| format!("{endpoint} is not http://HOST:PORT"))?;
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port for the proxy")?;
        listener.set_nonblocking(true)?;
        let (address, calls) = (listener.local_addr()?, Calls::default());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let far = Far {
            upstream,
            latency,
            calls: calls.clone(),
        };
        thread::Builder::new()
            .name("proxy".to_owned())
            .spawn(move || runtime.block_on(serve(listener, far)))?;
        Ok(Self { address, calls })
    }

    /// Returns its address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the calls that it saw.
    pub fn calls(&self) -> &Calls {
        &self.calls
    }
}

/// Where a connection is passed on to.
#[derive(Clone)]
struct Far {
    upstream: SocketAddr,
    /// How long every request waits.
    latency: Duration,
    calls: Calls,
}

async fn serve(listener: TcpListener, far: Far) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (client, _) = listener.accept().await?;
        let far = far.clone();
        tokio::spawn(async move {
            // The contestant sees a connection that breaks, as it would without the proxy.
            if let Err(error) = pass(client, &far).await
                && error.kind() == io::ErrorKind::InvalidData
            {
                eprintln!("error: the proxy can't count a request: {error}");
            }
        });
    }
}

/// Passes a connection on, until one side closes it.
async fn pass(mut client: TcpStream, far: &Far) -> io::Result<()> {
    let mut server = TcpStream::connect(far.upstream).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let requests = async {
        let (mut requests, mut buffer) = (Requests::default(), vec![0; CHUNK]);
        loop {
            let bytes = match from_client.read(&mut buffer).await? {
                0 => return Ok(()),
                length => &buffer[..length],
            };
            let mut begins = false;
            requests.read(bytes, |request| match request {
                Request::Head(action) => {
                    far.calls.add(action);
                    begins = true;
                }
                Request::Deletes(messages) => far.calls.add_deleted(messages),
            })?;
            if begins && !far.latency.is_zero() {
                tokio::time::sleep(far.latency).await;
            }
            to_server.write_all(bytes).await?;
        }
    };
    tokio::select! {
        ended = requests => ended,
        ended = tokio::io::copy(&mut from_server, &mut to_client) => ended.map(drop),
    }
}
