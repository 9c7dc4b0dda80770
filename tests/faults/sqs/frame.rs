//! Requests and answers of HTTP/1.1, each as a whole.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// A request or an answer.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// To the empty line, without it.
    head: String,
    pub(super) body: Vec<u8>,
}

/// Reads frames from one side of a connection.
#[derive(Debug, Default)]
pub(super) struct Frames(Vec<u8>);

impl Frames {
    /// The next one; none at the end. What was read stays here when this is dropped.
    pub(super) async fn next(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
    ) -> io::Result<Option<Frame>> {
        loop {
            if let Some(frame) = self.take()? {
                return Ok(Some(frame));
            }
            if from.read_buf(&mut self.0).await? == 0 {
                return Ok(None);
            }
        }
    }

    fn take(&mut self) -> io::Result<Option<Frame>> {
        let Some(end) = self.0.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        let head = String::from_utf8_lossy(&self.0[..end]).into_owned();
        let mut frame = Frame {
            head,
            body: Vec::new(),
        };
        if frame.header("transfer-encoding").is_some() {
            return Err(io::Error::other("a body without content-length"));
        }
        let length = frame.header("content-length").map_or(Ok(0), str::parse);
        let whole = end + 4 + length.map_err(io::Error::other)?;
        if self.0.len() < whole {
            return Ok(None);
        }
        frame.body = self.0[end + 4..whole].to_vec();
        self.0.drain(..whole);
        Ok(Some(frame))
    }
}

impl Frame {
    /// An answer of 200 with a body still to be given.
    pub(super) fn ok() -> Self {
        Self {
            head: "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0".to_owned(),
            body: Vec::new(),
        }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self
            .head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'));
        let found = headers.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim())
    }

    pub(super) fn is_ok(&self) -> bool {
        self.head.starts_with("HTTP/1.1 200")
    }

    /// As it goes over the wire, whatever length its body had when it was read.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let other = |line: &&str| !line.to_ascii_lowercase().starts_with("content-length:");
        let mut bytes = Vec::with_capacity(self.head.len() + self.body.len() + 32);
        for line in self.head.lines().filter(other) {
            bytes.extend_from_slice(line.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", self.body.len()).as_bytes());
        bytes.extend_from_slice(&self.body);
        bytes
    }
}
