//! Connections of AMQP on their way: both directions at once, frame by frame.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::sleep,
};

use super::{connection::Connection, frame::Frame};
use crate::proxy::{Link, Mode, Wire};

/// How often a slow connection passes something on.
const TICK: Duration = Duration::from_millis(100);

/// The proxy of this name.
#[derive(Debug)]
pub(crate) struct Frames {
    name: String,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

impl Frames {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
        }
    }
}

impl Wire for Frames {
    async fn pass(
        &self,
        link: &Link,
        mut client: TcpStream,
        mut server: TcpStream,
    ) -> io::Result<()> {
        // Its end is told wherever this ends.
        let connection = Connection::new(&self.name, &link.ledger);
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        tokio::select! {
            ended = speak(Side::Client, link, &connection, from_client, to_server) => ended,
            ended = speak(Side::Server, link, &connection, from_server, to_client) => ended,
        }
    }
}

async fn speak(
    side: Side,
    link: &Link,
    connection: &Connection<'_>,
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let mut read = Vec::new();
    while from.read_buf(&mut read).await? > 0 {
        let mut next = Frame::take(&mut read);
        while let Some(first) = next {
            link.stalled().await;
            let most = match link.mode() {
                Mode::Slow(rate) => {
                    sleep(TICK).await;
                    rate / 10
                }
                _ => usize::MAX,
            };
            let mut passed = Vec::new();
            next = Some(first);
            // What is told of a frame is told just before it is passed on.
            while passed.len() < most
                && let Some(mut frame) = next.take()
            {
                match side {
                    Side::Client => {
                        connection.asked(&mut frame, link.mode() == Mode::Refuse);
                    }
                    Side::Server => connection.answered(&mut frame),
                }
                passed.extend(frame.0);
                next = Frame::take(&mut read);
            }
            if side == Side::Server && link.mode() == Mode::Swallow {
                return Ok(());
            }
            to.write_all(&passed).await?;
        }
    }
    Ok(())
}
