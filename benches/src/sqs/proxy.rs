//! The proxy between the loops and SQS: passes every byte on as it is, and counts requests by their action.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener, ToSocketAddrs},
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{calls::Calls, cpu};

/// How much is read at once.
const CHUNK: usize = 64 * 1024;
/// The longest head of a request.
const HEAD: usize = 64 * 1024;

/// A proxy on a thread of its own, to the end of the process.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    calls: Calls,
    /// The `stat` file of its thread.
    stat: Option<PathBuf>,
}

impl Proxy {
    /// Starts it in front of `http://HOST:PORT`, and lets every request wait so long.
    ///
    /// # Errors
    ///
    /// An endpoint of another form, or no port.
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
        let (ready, started) = mpsc::channel();
        let far = Far {
            upstream,
            latency,
            calls: calls.clone(),
        };
        let work = move || {
            // `PID/task/TID`, where there is a /proc.
            let thread = fs::read_link("/proc/thread-self").ok();
            let stat = thread.map(|thread| Path::new("/proc").join(thread).join("stat"));
            ready.send(stat).ok();
            runtime.block_on(serve(listener, far))
        };
        thread::Builder::new()
            .name("proxy".to_owned())
            .spawn(work)?;
        let stat = started.recv().context("the proxy did not start")?;
        Ok(Self {
            address,
            calls,
            stat,
        })
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it saw.
    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    /// The CPU time of the process without this proxy.
    pub(super) fn cpu_of_others(&self) -> Option<Duration> {
        let own = cpu::time(self.stat.as_deref()?)?;
        Some(cpu::time(Path::new("/proc/self/stat"))?.saturating_sub(own))
    }
}

/// What a connection is passed on to.
#[derive(Clone)]
struct Far {
    upstream: SocketAddr,
    /// Of every request.
    latency: Duration,
    calls: Calls,
}

async fn serve(listener: TcpListener, far: Far) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (client, _) = listener.accept().await?;
        let far = far.clone();
        tokio::spawn(async move {
            // A connection that breaks is seen by the loop, as it would be without us.
            if let Err(error) = pass(client, &far).await
                && error.kind() == io::ErrorKind::InvalidData
            {
                eprintln!("error: the proxy can't count a request: {error}");
            }
        });
    }
}

/// Passes a connection on, until either side closes it.
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
            requests.read(bytes, |action| {
                far.calls.add(action);
                begins = true;
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

/// Reads along with the requests of one connection.
#[derive(Debug, Default)]
struct Requests {
    /// Of a request whose head is not complete.
    head: Vec<u8>,
    /// What is still to come of a body.
    body: usize,
}

impl Requests {
    /// Tells the action of every request whose head is complete with these bytes.
    fn read(&mut self, mut bytes: &[u8], mut seen: impl FnMut(&str)) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.body > 0 {
                let skipped = self.body.min(bytes.len());
                self.body -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            let known = self.head.len();
            self.head.extend_from_slice(bytes);
            // The end may have begun in what came before.
            let from = known.saturating_sub(3);
            let end = self.head[from..]
                .windows(4)
                .position(|four| four == b"\r\n\r\n");
            let Some(end) = end.map(|end| from + end + 4) else {
                return if self.head.len() > HEAD {
                    Err(invalid("its head has no end"))
                } else {
                    Ok(())
                };
            };
            let (action, body) = read_head(&self.head[..end])?;
            seen(action);
            self.body = body;
            self.head.clear();
            bytes = &bytes[end - known..];
        }
        Ok(())
    }
}

/// The action of a request, and the length of its body.
fn read_head(head: &[u8]) -> io::Result<(&str, usize)> {
    let head = str::from_utf8(head).map_err(|_| invalid("its head is no text"))?;
    let (mut action, mut length) = ("none", 0);
    for (name, value) in head.lines().filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("x-amz-target") {
            action = value.rsplit('.').next().unwrap_or(value);
        } else if name.eq_ignore_ascii_case("content-length") {
            length = value
                .parse()
                .map_err(|_| invalid("its content-length is no number"))?;
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(invalid("its body has no content-length"));
        }
    }
    Ok((action, length))
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &[u8] = b"POST / HTTP/1.1\r\nX-Amz-Target: AmazonSQS.ReceiveMessage\r\nContent-Length: 5\r\n\r\n\r\n\r\nx\
        POST / HTTP/1.1\r\ncontent-length: 0\r\nx-amz-target: AmazonSQS.DeleteMessageBatch\r\n\r\n";

    #[test]
    fn requests_are_counted_however_their_bytes_come() {
        for size in 1..=TWO.len() {
            let (mut requests, mut seen) = (Requests::default(), Vec::new());
            for bytes in TWO.chunks(size) {
                requests
                    .read(bytes, |action| seen.push(action.to_owned()))
                    .unwrap();
            }
            assert_eq!(
                seen,
                ["ReceiveMessage", "DeleteMessageBatch"],
                "in chunks of {size}"
            );
            assert!(requests.head.is_empty() && requests.body == 0);
        }
    }

    #[test]
    fn a_body_of_unknown_length_is_refused() {
        let head = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
        assert!(Requests::default().read(head, |_| ()).is_err());
    }
}
