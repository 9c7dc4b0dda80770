//! The health of a server: whether it answers.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// For one look, connection and answer.
const LOOK: Duration = Duration::from_secs(2);

/// `guest:guest`, which every new RabbitMQ lets in from its own machine; other servers don't care.
const GUEST: &str = "Basic Z3Vlc3Q6Z3Vlc3Q=";

/// The first frame of a broker is a method (1) on channel 0: `connection.start`.
const METHOD: [u8; 3] = [1, 0, 0];

/// Whether a `GET` of this path is answered with 200.
pub(super) fn http(port: u16, path: &str) -> bool {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {GUEST}\r\nConnection: close\r\n\r\n"
    );
    ask::<12>(port, request.as_bytes()).is_ok_and(|answer| &answer == b"HTTP/1.1 200")
}

/// Whether AMQP 0-9-1 is spoken.
pub(super) fn amqp(port: u16) -> bool {
    ask(port, b"AMQP\0\0\x09\x01").is_ok_and(|answer| answer == METHOD)
}

/// The first bytes of an answer.
fn ask<const N: usize>(port: u16, question: &[u8]) -> io::Result<[u8; N]> {
    let mut stream =
        TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), LOOK)?;
    stream.set_read_timeout(Some(LOOK))?;
    stream.set_write_timeout(Some(LOOK))?;
    stream.write_all(question)?;
    let mut answer = [0; N];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}
