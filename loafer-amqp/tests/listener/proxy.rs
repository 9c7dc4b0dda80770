//! A connection that can be cut, and on which the server can be made to say something.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Mutex, Notify},
};

/// The way to a client.
type ToClient = Arc<Mutex<OwnedWriteHalf>>;

/// Stands between a client and its server.
pub struct Proxy {
    pub url: String,
    cut: Arc<Notify>,
    /// Whether what clients say is lost.
    swallows: Arc<AtomicBool>,
    /// The way to the client of the last connection.
    client: Arc<Mutex<Option<ToClient>>>,
}

impl Proxy {
    pub async fn start(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (before, after) = server.split_once('@').unwrap();
        let (place, path) = after.split_once('/').unwrap();
        let place = place.to_owned();
        let proxy = Self {
            url: format!("{before}@127.0.0.1:{port}/{path}"),
            cut: Arc::default(),
            swallows: Arc::default(),
            client: Arc::default(),
        };
        let (cut, client) = (proxy.cut.clone(), proxy.client.clone());
        let swallows = proxy.swallows.clone();
        tokio::spawn(async move {
            while let Ok((incoming, _)) = listener.accept().await {
                let outgoing = TcpStream::connect(&place).await.unwrap();
                let (from_client, to_client) = incoming.into_split();
                let (from_server, to_server) = outgoing.into_split();
                let to_client = Arc::new(Mutex::new(to_client));
                client.lock().await.replace(to_client.clone());
                let up = pass_up(from_client, to_server, swallows.clone());
                let down = pass_down(from_server, to_client.clone());
                let cut = cut.clone();
                tokio::spawn(async move {
                    tokio::select! {
                        () = up => {}
                        () = down => {}
                        () = cut.notified() => {}
                    }
                    _ = to_client.lock().await.shutdown().await;
                });
            }
        });
        proxy
    }

    /// Loses what clients say from now on, until the connection is cut.
    pub fn swallow(&self) {
        self.swallows.store(true, Ordering::SeqCst);
    }

    /// Ends the connection, as a server does that dies.
    pub fn cut(&self) {
        self.cut.notify_waiters();
        self.swallows.store(false, Ordering::SeqCst);
    }

    /// Says `connection.blocked`, as a server does that is short of memory.
    pub async fn block(&self) {
        let reason = b"low on memory";
        let mut arguments = vec![reason.len() as u8];
        arguments.extend(reason);
        self.say(60, &arguments).await;
    }

    /// Says `connection.unblocked`.
    pub async fn unblock(&self) {
        self.say(61, &[]).await;
    }

    /// A method of the class `connection`, between two frames of the server.
    async fn say(&self, method: u16, arguments: &[u8]) {
        let mut payload = vec![0, 10];
        payload.extend(method.to_be_bytes());
        payload.extend(arguments);
        let mut frame = vec![1, 0, 0];
        frame.extend((payload.len() as u32).to_be_bytes());
        frame.extend(payload);
        frame.push(0xCE);
        let client = self.client.lock().await.clone().unwrap();
        client.lock().await.write_all(&frame).await.unwrap();
    }
}

async fn pass_up(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, swallows: Arc<AtomicBool>) {
    let mut said = [0; 4096];
    while let Ok(bytes @ 1..) = from.read(&mut said).await {
        if !swallows.load(Ordering::SeqCst) && to.write_all(&said[..bytes]).await.is_err() {
            return;
        }
    }
}

/// Passes whole frames on, so that others fit between them.
async fn pass_down(mut from: OwnedReadHalf, to: ToClient) {
    let mut head = [0; 7];
    while from.read_exact(&mut head).await.is_ok() {
        let length = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
        let mut rest = vec![0; length + 1];
        if from.read_exact(&mut rest).await.is_err() {
            return;
        }
        let mut to = to.lock().await;
        if to.write_all(&head).await.is_err() || to.write_all(&rest).await.is_err() {
            return;
        }
    }
}
