//! A line to a server that can be cut: a proxy which drops its connections and refuses new ones.

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// A line to a server that can be cut.
pub(crate) struct Line {
    /// Where clients find the server: host and port.
    pub(crate) address: String,
    up: watch::Sender<bool>,
}

impl Line {
    /// A line to the server that answers there.
    pub(crate) async fn to(address: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let behind = address.to_owned();
        let line = Self {
            address: listener.local_addr().unwrap().to_string(),
            up: watch::Sender::new(true),
        };
        let up = line.up.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // Dropped, it is closed at once: what a client sees of a server that is not there.
                if *up.borrow() {
                    tokio::spawn(carry(client, behind.clone(), up.subscribe()));
                }
            }
        });
        line
    }

    /// What cuts the line (`false`) and mends it (`true`).
    pub(crate) fn switch(&self) -> impl Fn(bool) + Send + Sync + 'static {
        let up = self.up.clone();
        move |on| _ = up.send_replace(on)
    }
}

/// Carries one connection until either side ends it, or the line is cut.
async fn carry(mut client: TcpStream, behind: String, mut up: watch::Receiver<bool>) {
    let Ok(mut server) = TcpStream::connect(behind).await else {
        return;
    };
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => {}
        _ = up.wait_for(|up| !up) => {}
    }
}
