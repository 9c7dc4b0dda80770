//! The stream of a connection, between RabbitMQ and the client. It makes frames readable, and it ends if the connection is given up before it is made.
//! Only AMQP needs it.

use std::{
    io::{self, Read, Write},
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use async_rs::{Runtime, Tokio, traits::Reactor, util::RuntimeParts};
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::{FutureExt, Stream as Items, future};
use lapin::tcp::AsyncTcpStream;
use tokio::sync::oneshot;

use super::frames::{ChannelQueues, Frames};

/// The runtime that the client works on: tokio's, with streams of ours.
pub(super) type ClientRuntime = Runtime<RuntimeParts<Tokio, StreamReactor>>;

/// Returns the runtime that the client works on.
pub(super) fn client_runtime(tokio: Tokio) -> ClientRuntime {
    Runtime::new(RuntimeParts::new(tokio.clone(), StreamReactor(tokio)))
}

/// A stream of tokio, with or without TLS.
type Inner = AsyncTcpStream<<Tokio as Reactor>::TcpStream>;

/// What the client reads from and writes to.
pub(super) struct Stream {
    inner: Inner,
    frames: Frames,
    /// Whether the connection is made. If its other half is dropped before, nobody waits for the connection, and the stream ends: the client would keep
    /// it, and a thread, for as long as the other side says nothing. `None` means that the connection is made.
    made: Option<oneshot::Receiver<()>>,
}

impl Stream {
    pub(super) fn new(inner: Inner, queues: ChannelQueues, made: oneshot::Receiver<()>) -> Self {
        Self {
            inner,
            frames: Frames::new(queues),
            made: Some(made),
        }
    }

    /// Returns an error if nobody waits for the connection any more. Else, wakes whoever reads when that is so.
    fn wanted(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.made.as_mut().map(|made| made.poll_unpin(cx)) {
            None | Some(Poll::Pending) => Ok(()),
            Some(Poll::Ready(Ok(()))) => {
                self.made = None;
                Ok(())
            }
            Some(Poll::Ready(Err(_))) => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.wanted(cx)?;
        let Self { inner, frames, .. } = &mut *self;
        frames.read(into, |bytes| Pin::new(&mut *inner).poll_read(cx, bytes))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    /// Waits for nobody: the client closes a stream when the other side has fallen silent, and its thread would wait here for good.
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.inner).poll_close(cx) {
            Poll::Ready(closed) => Poll::Ready(closed),
            Poll::Pending => Poll::Ready(Ok(())),
        }
    }
}

/// The reactor of tokio, whose streams are [`Stream`]s: the client takes no others.
#[derive(Clone, Debug)]
pub(super) struct StreamReactor(Tokio);

impl Reactor for StreamReactor {
    type TcpStream = Stream;
    type Sleep = <Tokio as Reactor>::Sleep;

    /// The client registers no sockets, and the trait of the sockets that it would register can't be named.
    fn register<H: Read + Write + Send + 'static>(
        &self,
        _: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        Err::<Stream, _>(io::ErrorKind::Unsupported.into())
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.0.sleep(duration)
    }

    fn interval(&self, duration: Duration) -> impl Items<Item = Instant> + Send + 'static {
        self.0.interval(duration)
    }

    /// The client is given a stream that is connected.
    fn tcp_connect_addr(
        &self,
        _: SocketAddr,
    ) -> impl Future<Output = io::Result<Stream>> + Send + 'static {
        future::ready(Err(io::ErrorKind::Unsupported.into()))
    }
}
