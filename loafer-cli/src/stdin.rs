//! Lines `ROUTE JSON` on stdin, published on the broker in memory.

use std::{io, thread};

use loafer_core::{
    Error,
    message::{Message, MessageId},
};
use tokio::sync::mpsc;

/// How many lines are read ahead of what is published.
const AHEAD: usize = 256;

/// A message that somebody wrote on stdin.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// The number of its line, from 1. Blank lines count.
    pub(crate) number: u64,
    pub(crate) route: String,
    /// The payload as it was written.
    pub(crate) payload: Vec<u8>,
}

/// The lines of stdin.
pub(crate) struct Lines {
    coming: mpsc::Receiver<Line>,
}

impl Lines {
    /// Reads stdin from now on, in a thread of its own: a read can't be cancelled, and one of tokio's would keep the runtime from ending.
    pub(crate) fn read() -> io::Result<Self> {
        let (sender, coming) = mpsc::channel(AHEAD);
        thread::Builder::new()
            .name("stdin".to_owned())
            .spawn(move || read(io::stdin().lock(), &sender))?;
        Ok(Self { coming })
    }

    /// Returns the next line. `None` means the end of stdin.
    pub(crate) async fn next(&mut self) -> Option<Line> {
        self.coming.recv().await
    }
}

fn read(mut input: impl io::BufRead, lines: &mpsc::Sender<Line>) {
    let mut bytes = Vec::new();
    for number in 1.. {
        bytes.clear();
        match input.read_until(b'\n', &mut bytes) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "stdin can't be read any more");
                return;
            }
        }
        if let Some(line) = Line::parse(number, &bytes)
            && lines.blocking_send(line).is_err()
        {
            return;
        }
    }
}

impl Line {
    /// Parses a route's name, whitespace and a payload. `None` for a blank line.
    fn parse(number: u64, line: &[u8]) -> Option<Self> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line).trim_ascii_start();
        let end = line
            .iter()
            .position(u8::is_ascii_whitespace)
            .unwrap_or(line.len());
        let (route, payload) = line.split_at(end);
        if route.is_empty() {
            return None;
        }
        Some(Self {
            number,
            route: String::from_utf8_lossy(route).into_owned(),
            payload: payload.trim_ascii_start().to_vec(),
        })
    }

    /// Publishes the line with this function. If that fails, the next line may still succeed.
    pub(crate) async fn publish(
        self,
        publish: impl AsyncFnOnce(&str, Message) -> Result<MessageId, Error>,
    ) {
        match publish(&self.route, Message::new(self.payload)).await {
            Ok(id) => tracing::debug!(route = self.route, message_id = %id, "published"),
            Err(error) => {
                tracing::warn!("line {} of stdin was not published: {error}", self.number)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Option<(String, String)> {
        let line = Line::parse(1, line.as_bytes())?;
        Some((line.route, String::from_utf8(line.payload).expect("utf-8")))
    }

    fn pair(route: &str, payload: &str) -> Option<(String, String)> {
        Some((route.to_owned(), payload.to_owned()))
    }

    #[test]
    fn a_line_is_a_route_and_a_payload() {
        assert_eq!(
            parsed("friends {\"id\": \"1\"}\n"),
            pair("friends", "{\"id\": \"1\"}")
        );
        assert_eq!(parsed("  friends \t {}\r\n"), pair("friends", "{}"));
        assert_eq!(
            parsed("friends two  words "),
            pair("friends", "two  words ")
        );
    }

    #[test]
    fn a_route_alone_has_an_empty_payload() {
        assert_eq!(parsed("friends\n"), pair("friends", ""));
    }

    #[test]
    fn a_blank_line_is_no_line() {
        assert_eq!(parsed("\n"), None);
        assert_eq!(parsed("  \t \r\n"), None);
        assert_eq!(parsed(""), None);
    }

    #[test]
    fn every_line_comes_also_the_last_without_its_end() {
        let (sender, mut coming) = mpsc::channel(8);
        read(&b"a 1\n\nb \xff\n\nc 3"[..], &sender);
        let lines: Vec<_> = std::iter::from_fn(|| coming.try_recv().ok()).collect();
        let expected = [(1, "a", &b"1"[..]), (3, "b", b"\xff"), (5, "c", b"3")].map(
            |(number, route, payload)| Line {
                number,
                route: route.to_owned(),
                payload: payload.to_owned(),
            },
        );
        assert_eq!(lines, expected);
    }
}
