//! A client that sends frames as they are, since others refuse to send what can't be read.

#![allow(
    unreachable_pub,
    reason = "a module that several test binaries share is public in each"
)]

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A connection with one channel, whose publishing is confirmed.
pub struct Raw(TcpStream);

/// Returns a short string.
pub fn short(text: &[u8]) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()], text].concat()
}

/// Returns bytes behind their length: a long string, a table, a list.
pub fn long(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

fn frame(kind: u8, channel: u8, payload: &[u8]) -> Vec<u8> {
    [&[kind, 0, channel][..], &long(payload), &[0xce]].concat()
}

fn method(channel: u8, class: u8, number: u8, arguments: &[&[u8]]) -> Vec<u8> {
    let payload = [&[0, class, 0, number], &arguments.concat()[..]].concat();
    frame(1, channel, &payload)
}

impl Raw {
    pub async fn connect(port: u16) -> Self {
        let mut raw = Self(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
        raw.0.write_all(b"AMQP\0\0\x09\x01").await.unwrap();
        raw.expect(10, 10).await;
        let (login, none) = (long(b"\0guest\0guest"), long(b""));
        raw.say(
            10,
            11,
            &[&none, &short(b"PLAIN"), &login, &short(b"en_US")],
            0,
        )
        .await;
        let tune = raw.expect(10, 30).await;
        raw.say(10, 31, &[&tune[..6], &[0, 0]], 0).await;
        raw.say(10, 40, &[&short(b"/"), &short(b""), &[0]], 0).await;
        raw.expect(10, 41).await;
        raw.say(20, 10, &[&short(b"")], 1).await;
        raw.expect(20, 11).await;
        raw.say(85, 10, &[&[0]], 1).await;
        raw.expect(85, 11).await;
        raw
    }

    /// Publishes a persistent message with one more property, and waits until it is confirmed. `flag` says which: the higher, the earlier.
    pub async fn publish(&mut self, to: (&str, &[u8]), flag: u16, property: &[u8], body: &str) {
        const PERSISTENT: u16 = 1 << 12;
        let (exchange, key) = (short(to.0.as_bytes()), short(to.1));
        let size = u64::try_from(body.len()).unwrap().to_be_bytes();
        let flags = (flag | PERSISTENT).to_be_bytes();
        let (before, after) = if flag > PERSISTENT {
            (property, &b""[..])
        } else {
            (&b""[..], property)
        };
        let header = [&[0, 60, 0, 0], &size[..], &flags, before, &[2], after].concat();
        let publish = method(1, 60, 40, &[&[0, 0], &exchange, &key, &[0]]);
        let frames = [publish, frame(2, 1, &header), frame(3, 1, body.as_bytes())].concat();
        self.0.write_all(&frames).await.unwrap();
        self.expect(60, 80).await;
    }

    async fn say(&mut self, class: u8, number: u8, arguments: &[&[u8]], channel: u8) {
        let frame = method(channel, class, number, arguments);
        self.0.write_all(&frame).await.unwrap();
    }

    /// Waits for this method, and returns its arguments.
    async fn expect(&mut self, class: u8, number: u8) -> Vec<u8> {
        loop {
            let mut head = [0; 7];
            self.0.read_exact(&mut head).await.unwrap();
            let size = u32::from_be_bytes(head[3..].try_into().unwrap()) as usize;
            let mut payload = vec![0; size + 1];
            self.0.read_exact(&mut payload).await.unwrap();
            if head[0] == 8 {
                continue;
            }
            let said = String::from_utf8_lossy(&payload[4..]).into_owned();
            assert_eq!(payload[..4], [0, class, 0, number], "RabbitMQ said {said}");
            return payload[4..size].to_vec();
        }
    }
}
