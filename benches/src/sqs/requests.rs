//! The requests of one connection, read as their bytes pass.

use std::{io, mem};

/// The longest head of a request.
const HEAD: usize = 64 * 1024;
/// What the body of a delete has once for each message.
const RECEIPT: &[u8] = b"\"ReceiptHandle\"";

/// What is reported of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request<'r> {
    /// Its head is complete: this is its action.
    Head(&'r str),
    /// Its body is complete, and deletes this many messages.
    Deletes(usize),
}

/// Reads the requests of one connection along.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// The beginning of a request whose head is not complete.
    head: Vec<u8>,
    /// How many bytes of a body are still to come.
    left: usize,
    /// The body of a request that deletes.
    body: Vec<u8>,
    deletes: bool,
}

impl Requests {
    /// Reports every request whose head or body is complete with these bytes.
    pub(super) fn read(
        &mut self,
        mut bytes: &[u8],
        mut seen: impl FnMut(Request<'_>),
    ) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.left > 0 {
                let (body, rest) = bytes.split_at(self.left.min(bytes.len()));
                self.left -= body.len();
                bytes = rest;
                if self.deletes {
                    self.body.extend_from_slice(body);
                    if self.left == 0 {
                        seen(Request::Deletes(receipts(&mem::take(&mut self.body))));
                    }
                }
                continue;
            }
            let known = self.head.len();
            self.head.extend_from_slice(bytes);
            // The end may have begun in the bytes before.
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
            seen(Request::Head(action));
            self.left = body;
            self.deletes = matches!(action, "DeleteMessage" | "DeleteMessageBatch");
            self.head.clear();
            bytes = &bytes[end - known..];
        }
        Ok(())
    }
}

fn receipts(body: &[u8]) -> usize {
    body.windows(RECEIPT.len())
        .filter(|bytes| *bytes == RECEIPT)
        .count()
}

/// Returns the action of a request, and the length of its body.
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
        POST / HTTP/1.1\r\ncontent-length: 41\r\nx-amz-target: AmazonSQS.DeleteMessageBatch\r\n\r\n\
        {\"ReceiptHandle\":\"a\",\"ReceiptHandle\":\"b\"}";

    #[test]
    fn requests_are_counted_however_their_bytes_come() {
        for size in 1..=TWO.len() {
            let (mut requests, mut seen) = (Requests::default(), Vec::new());
            for bytes in TWO.chunks(size) {
                requests
                    .read(bytes, |request| {
                        seen.push(match request {
                            Request::Head(action) => action.to_owned(),
                            Request::Deletes(messages) => messages.to_string(),
                        });
                    })
                    .unwrap();
            }
            assert_eq!(
                seen,
                ["ReceiveMessage", "DeleteMessageBatch", "2"],
                "in chunks of {size}"
            );
            assert!(requests.head.is_empty() && requests.left == 0);
        }
    }

    #[test]
    fn a_body_of_unknown_length_is_refused() {
        let head = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
        assert!(Requests::default().read(head, |_| ()).is_err());
    }
}
